/* The C client library, multi-threaded: its synchronous calls, its watches and
 * its reconnection. Prints one line a check; see ../../run.sh. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

#define TIMEOUT_MS 30000
#define PATIENCE_S 20

struct event {
	int type;
	char path[200];
};

/* One session and what its watchers were told. */
struct session {
	zhandle_t *zh;
	pthread_mutex_t mu;
	pthread_cond_t changed;
	int state;
	int connects;
	int told, taken;
	struct event events[64];
};

static int failed;
static char why[600];

static int fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	return 0;
}

/* The checks are functions that return 1, or 0 after fail(). */
#define MUST(call, want)                                                                                                   \
	do {                                                                                                               \
		int got_ = (call);                                                                                         \
		if (got_ != (want))                                                                                        \
			return fail("line %d: %s: got %d (%s), want %d", __LINE__, #call, got_, zerror(got_), (want));     \
	} while (0)

static void check(const char *name, int (*body)(void))
{
	if (body()) {
		printf("ok %s\n", name);
	} else {
		failed = 1;
		printf("FAIL %s: %s\n", name, why);
	}
	fflush(stdout);
}

static void on_state(zhandle_t *zh, int type, int state, const char *path, void *context)
{
	struct session *s = context;
	(void)zh;
	(void)path;
	if (type != ZOO_SESSION_EVENT)
		return;
	pthread_mutex_lock(&s->mu);
	s->state = state;
	if (state == ZOO_CONNECTED_STATE)
		s->connects++;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mu);
}

static void on_event(zhandle_t *zh, int type, int state, const char *path, void *context)
{
	struct session *s = context;
	(void)zh;
	(void)state;
	if (type == ZOO_SESSION_EVENT)
		return;
	pthread_mutex_lock(&s->mu);
	struct event *e = &s->events[s->told++ % 64];
	e->type = type;
	snprintf(e->path, sizeof e->path, "%s", path);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mu);
}

static struct timespec deadline(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += PATIENCE_S;
	return t;
}

/* Waits for the session's nth connection. */
static int connected(struct session *s, int n)
{
	struct timespec end = deadline();
	int late = 0;
	pthread_mutex_lock(&s->mu);
	while (!late && s->connects < n && s->state != ZOO_EXPIRED_SESSION_STATE)
		late = pthread_cond_timedwait(&s->changed, &s->mu, &end);
	int ok = s->connects >= n;
	int state = s->state;
	pthread_mutex_unlock(&s->mu);
	return ok ? 1 : fail("not connected: state %d", state);
}

static int told(struct session *s, int type, const char *path)
{
	struct timespec end = deadline();
	int late = 0;
	pthread_mutex_lock(&s->mu);
	while (!late && s->taken == s->told)
		late = pthread_cond_timedwait(&s->changed, &s->mu, &end);
	struct event e = {0, "none"};
	if (s->taken != s->told)
		e = s->events[s->taken++ % 64];
	pthread_mutex_unlock(&s->mu);
	if (e.type != type || strcmp(e.path, path) != 0)
		return fail("event: got %d %s, want %d %s", e.type, e.path, type, path);
	return 1;
}

#define TOLD(s, type, path)                                                                                                \
	do {                                                                                                               \
		if (!told(s, type, path))                                                                                  \
			return 0;                                                                                          \
	} while (0)

static const char *servers;
static struct session one, two;

static int start(struct session *s, const clientid_t *id)
{
	memset(s, 0, sizeof *s);
	pthread_mutex_init(&s->mu, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->zh = zookeeper_init(servers, on_state, TIMEOUT_MS, id, s, 0);
	return s->zh != NULL && connected(s, 1);
}

static int create(struct session *s, const char *path, const char *data, int mode)
{
	return zoo_create(s->zh, path, data, (int)strlen(data), &ZOO_OPEN_ACL_UNSAFE, mode, NULL, 0);
}

static int set(struct session *s, const char *path, const char *data, int version)
{
	return zoo_set(s->zh, path, data, (int)strlen(data), version);
}

static int reads(struct session *s, const char *path, const char *want)
{
	char buf[200];
	int len = sizeof buf - 1;
	MUST(zoo_get(s->zh, path, 0, buf, &len, NULL), ZOK);
	buf[len < 0 ? 0 : len] = 0;
	return strcmp(buf, want) == 0 ? 1 : fail("%s: got %s, want %s", path, buf, want);
}

#define READS(s, path, want)                                                                                               \
	do {                                                                                                               \
		if (!reads(s, path, want))                                                                                 \
			return 0;                                                                                          \
	} while (0)

static int basics(void)
{
	struct Stat stat;
	struct String_vector names;
	MUST(create(&one, "/basics", "v0", ZOO_PERSISTENT), ZOK);
	READS(&two, "/basics", "v0");
	MUST(zoo_set2(two.zh, "/basics", "v1", 2, 0, &stat), ZOK);
	MUST(stat.version, 1);
	MUST(stat.dataLength, 2);
	READS(&one, "/basics", "v1");
	char name[100];
	MUST(zoo_create2(one.zh, "/basics/a", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, name, sizeof name, &stat), ZOK);
	MUST(stat.version, 0);
	MUST(create(&one, "/basics/b", "", ZOO_PERSISTENT), ZOK);
	MUST(zoo_get_children2(two.zh, "/basics", 0, &names, &stat), ZOK);
	MUST(names.count, 2);
	MUST(stat.numChildren, 2);
	deallocate_String_vector(&names);
	MUST(zoo_get_children(two.zh, "/basics/a", 0, &names), ZOK);
	MUST(names.count, 0);
	char buf[10];
	int len = sizeof buf;
	MUST(zoo_get(two.zh, "/basics/a", 0, buf, &len, NULL), ZOK);
	MUST(len, -1); /* null is not the empty string */
	len = sizeof buf;
	MUST(zoo_get(two.zh, "/basics/b", 0, buf, &len, NULL), ZOK);
	MUST(len, 0);
	MUST(zoo_delete(one.zh, "/basics/a", 0), ZOK);
	MUST(zoo_delete(one.zh, "/basics/b", -1), ZOK);
	MUST(zoo_delete(one.zh, "/basics", 1), ZOK);
	MUST(zoo_exists(two.zh, "/basics", 0, NULL), ZNONODE);
	return 1;
}

static int errors(void)
{
	MUST(create(&one, "/errors", "", ZOO_PERSISTENT), ZOK);
	MUST(create(&one, "/errors/e", "", ZOO_EPHEMERAL), ZOK);
	MUST(create(&one, "/errors", "", ZOO_PERSISTENT), ZNODEEXISTS);
	MUST(create(&one, "/none/x", "", ZOO_PERSISTENT), ZNONODE);
	MUST(create(&one, "/errors/e/x", "", ZOO_PERSISTENT), ZNOCHILDRENFOREPHEMERALS);
	MUST(zoo_delete(one.zh, "/errors", -1), ZNOTEMPTY);
	MUST(zoo_delete(one.zh, "/errors/e", 7), ZBADVERSION);
	MUST(set(&one, "/errors", "", 7), ZBADVERSION);
	MUST(set(&one, "/none", "", -1), ZNONODE);
	MUST(zoo_create(one.zh, "/errors/acl", "", 0, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZINVALIDACL);
	return 1;
}

static int kinds(void)
{
	char name[100];
	MUST(create(&one, "/kinds", "", ZOO_PERSISTENT), ZOK);
	MUST(zoo_create(one.zh, "/kinds/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, name, sizeof name), ZOK);
	MUST(strcmp(name, "/kinds/s-0000000000"), 0);
	MUST(zoo_create(one.zh, "/kinds/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, name, sizeof name), ZOK);
	MUST(strcmp(name, "/kinds/s-0000000001"), 0);
	MUST(create(&one, "/kinds/c", "", ZOO_CONTAINER), ZOK);
	MUST(zoo_create_ttl(one.zh, "/kinds/t", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_WITH_TTL, 3600000, NULL, 0), ZOK);
	return 1;
}

/* Signals the waiting check with the result of an auth packet. */
static void on_auth(int rc, const void *data)
{
	struct session *s = (struct session *)data;
	pthread_mutex_lock(&s->mu);
	s->events[s->told++ % 64].type = rc;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->mu);
}

static int auth(struct session *s, const char *who)
{
	MUST(zoo_add_auth(s->zh, "digest", who, (int)strlen(who), on_auth, s), ZOK);
	struct timespec end = deadline();
	int late = 0, rc = ZOPERATIONTIMEOUT;
	pthread_mutex_lock(&s->mu);
	while (!late && s->taken == s->told)
		late = pthread_cond_timedwait(&s->changed, &s->mu, &end);
	if (s->taken != s->told)
		rc = s->events[s->taken++ % 64].type;
	pthread_mutex_unlock(&s->mu);
	MUST(rc, ZOK);
	return 1;
}

static int acl_digest(void)
{
	struct ACL_vector acl;
	struct Stat stat;
	if (!auth(&one, "alice:secret"))
		return 0;
	MUST(zoo_create(one.zh, "/acl", "hers", 4, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
	READS(&one, "/acl", "hers");
	MUST(zoo_get_acl(one.zh, "/acl", &acl, &stat), ZOK);
	MUST(acl.count, 1);
	MUST(strcmp(acl.data[0].id.id, "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E="), 0);
	deallocate_ACL_vector(&acl);
	MUST(zoo_create(one.zh, "/hers", "hers", 4, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
	return 1;
}

static int acl_refused(void)
{
	char buf[10];
	int len = sizeof buf;
	MUST(zoo_get(two.zh, "/acl", 0, buf, &len, NULL), ZNOAUTH);
	MUST(set(&two, "/acl", "x", -1), ZNOAUTH);
	MUST(create(&two, "/acl/x", "", 0), ZNOAUTH);
	MUST(zoo_set_acl(two.zh, "/acl", -1, &ZOO_OPEN_ACL_UNSAFE), ZNOAUTH);
	MUST(zoo_set_acl(one.zh, "/acl", 0, &ZOO_READ_ACL_UNSAFE), ZOK);
	READS(&two, "/acl", "hers");
	MUST(set(&two, "/acl", "x", -1), ZNOAUTH);
	return 1;
}

static int multi_commit(void)
{
	char name[100];
	struct Stat stat;
	zoo_op_t ops[5];
	zoo_op_result_t results[5];
	zoo_create_op_init(&ops[0], "/multi", "0", 1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
	zoo_create_op_init(&ops[1], "/multi/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, name, sizeof name);
	zoo_set_op_init(&ops[2], "/multi", "1", 1, 0, &stat);
	zoo_check_op_init(&ops[3], "/multi", 1);
	zoo_delete_op_init(&ops[4], "/multi/s-0000000000", -1);
	MUST(zoo_multi(one.zh, 5, ops, results), ZOK);
	MUST(strcmp(name, "/multi/s-0000000000"), 0);
	MUST(stat.version, 1);
	READS(&two, "/multi", "1");
	MUST(zoo_exists(two.zh, name, 0, NULL), ZNONODE);
	return 1;
}

static int multi_rollback(void)
{
	zoo_op_t ops[3];
	zoo_op_result_t results[3];
	zoo_create_op_init(&ops[0], "/multi/b", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
	zoo_check_op_init(&ops[1], "/multi", 99);
	zoo_create_op_init(&ops[2], "/multi/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
	MUST(zoo_multi(one.zh, 3, ops, results), ZBADVERSION);
	MUST(results[0].err, ZOK);
	MUST(results[1].err, ZBADVERSION);
	MUST(results[2].err, ZRUNTIMEINCONSISTENCY);
	MUST(zoo_exists(two.zh, "/multi/b", 0, NULL), ZNONODE);
	return 1;
}

static int watch_data(void)
{
	char buf[10];
	int len = sizeof buf;
	MUST(create(&one, "/wd", "0", 0), ZOK);
	MUST(zoo_wget(one.zh, "/wd", on_event, &one, buf, &len, NULL), ZOK);
	MUST(set(&two, "/wd", "1", -1), ZOK);
	MUST(set(&two, "/wd", "2", -1), ZOK);
	TOLD(&one, ZOO_CHANGED_EVENT, "/wd");
	MUST(zoo_wexists(one.zh, "/wd", on_event, &one, NULL), ZOK);
	MUST(zoo_delete(two.zh, "/wd", -1), ZOK);
	TOLD(&one, ZOO_DELETED_EVENT, "/wd");
	MUST(one.told - one.taken, 0);
	return 1;
}

static int watch_child(void)
{
	struct String_vector names;
	MUST(create(&one, "/wc", "", 0), ZOK);
	MUST(zoo_wget_children(one.zh, "/wc", on_event, &one, &names), ZOK);
	MUST(set(&two, "/wc", "not a child", -1), ZOK);
	MUST(create(&two, "/wc/a", "", 0), ZOK);
	TOLD(&one, ZOO_CHILD_EVENT, "/wc");
	return 1;
}

static int watch_exists(void)
{
	MUST(zoo_wexists(one.zh, "/we", on_event, &one, NULL), ZNONODE);
	MUST(create(&two, "/we", "", 0), ZOK);
	TOLD(&one, ZOO_CREATED_EVENT, "/we");
	return 1;
}

static int watch_removed(void)
{
	char buf[10];
	int len = sizeof buf;
	MUST(create(&one, "/wx", "0", 0), ZOK);
	MUST(zoo_wget(one.zh, "/wx", on_event, &one, buf, &len, NULL), ZOK);
	MUST(zoo_remove_watches(one.zh, "/wx", ZWATCHTYPE_DATA, on_event, &one, 0), ZOK);
	MUST(set(&two, "/wx", "1", -1), ZOK);
	READS(&one, "/wx", "1");
	MUST(one.told - one.taken, 0);
	return 1;
}

static int lock_between_two(void)
{
	char first[100], second[100];
	MUST(create(&one, "/lock", "", 0), ZOK);
	MUST(zoo_create(one.zh, "/lock/l-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, first, sizeof first), ZOK);
	MUST(zoo_create(two.zh, "/lock/l-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL, second, sizeof second), ZOK);
	MUST(strcmp(first, second) < 0, 1);
	MUST(zoo_wexists(two.zh, first, on_event, &two, NULL), ZOK);
	MUST(zoo_delete(one.zh, first, -1), ZOK);
	TOLD(&two, ZOO_DELETED_EVENT, first);
	return 1;
}

static int owned(const char *path, int64_t owner)
{
	struct Stat stat;
	MUST(zoo_exists(two.zh, path, 0, &stat), ZOK);
	if (stat.ephemeralOwner != owner)
		return fail("%s: owner: got %llx, want %llx", path, (long long)stat.ephemeralOwner, (long long)owner);
	return 1;
}

static int ephemeral_gone(void)
{
	struct session other;
	if (!start(&other, NULL))
		return 0;
	MUST(create(&other, "/gone", "", ZOO_EPHEMERAL), ZOK);
	if (!owned("/gone", zoo_client_id(other.zh)->client_id))
		return 0;
	MUST(zoo_wexists(one.zh, "/gone", on_event, &one, NULL), ZOK);
	MUST(zookeeper_close(other.zh), ZOK);
	TOLD(&one, ZOO_DELETED_EVENT, "/gone");
	return 1;
}

/* The session of a process that died without closing it, see main. */
static clientid_t orphan;

/* Runs before any other session: a process with threads should not fork. */
static int leave_orphan(void)
{
	int ends[2];
	if (pipe(ends) != 0)
		return fail("pipe");
	pid_t child = fork();
	if (child == 0) {
		struct session s;
		if (!start(&s, NULL) || create(&s, "/orphan", "", ZOO_EPHEMERAL) != ZOK)
			_exit(1);
		ssize_t n = write(ends[1], zoo_client_id(s.zh), sizeof orphan);
		_exit(n != sizeof orphan);
	}
	int status = 1;
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		return fail("the child failed: status %d", status);
	if (read(ends[0], &orphan, sizeof orphan) != sizeof orphan)
		return fail("the child sent no session id");
	close(ends[0]);
	close(ends[1]);
	return 1;
}

static int session_reattached(void)
{
	struct session again;
	if (!owned("/orphan", orphan.client_id) || !start(&again, &orphan))
		return 0;
	MUST(zoo_client_id(again.zh)->client_id == orphan.client_id, 1);
	if (!owned("/orphan", orphan.client_id))
		return 0;
	MUST(zookeeper_close(again.zh), ZOK);
	MUST(zoo_exists(two.zh, "/orphan", 0, NULL), ZNONODE);
	return 1;
}

static clientid_t before;

static int prepare_restart(void)
{
	char buf[10], name[100];
	int len = sizeof buf;
	struct String_vector names;
	before = *zoo_client_id(one.zh);
	MUST(create(&one, "/r", "", 0), ZOK);
	MUST(create(&one, "/r/data", "before", 0), ZOK);
	MUST(create(&one, "/r/tree", "", 0), ZOK);
	MUST(create(&one, "/r/ephemeral", "", ZOO_EPHEMERAL), ZOK);
	for (int i = 0; i < 100; i++)
		MUST(zoo_create(one.zh, "/r/tree/n-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, name, sizeof name), ZOK);
	MUST(zoo_wget(one.zh, "/r/data", on_event, &one, buf, &len, NULL), ZOK);
	MUST(zoo_wget_children(one.zh, "/r/tree", on_event, &one, &names), ZOK);
	deallocate_String_vector(&names);
	MUST(zoo_wexists(one.zh, "/r/missing", on_event, &one, NULL), ZNONODE);
	return 1;
}

static int same_session(void)
{
	if (!connected(&one, 2) || !connected(&two, 2))
		return 0;
	MUST(zoo_client_id(one.zh)->client_id == before.client_id, 1);
	return 1;
}

static int data_kept(void)
{
	struct String_vector names;
	READS(&two, "/r/data", "before");
	MUST(zoo_get_children(two.zh, "/r/tree", 0, &names), ZOK);
	MUST(names.count, 100);
	deallocate_String_vector(&names);
	return 1;
}

static int ephemeral_kept(void)
{
	return owned("/r/ephemeral", before.client_id);
}

static int auth_kept(void)
{
	char buf[10];
	int len = sizeof buf;
	READS(&one, "/hers", "hers");
	MUST(zoo_get(two.zh, "/hers", 0, buf, &len, NULL), ZNOAUTH);
	return 1;
}

static int watches_fire(void)
{
	char name[100];
	MUST(set(&two, "/r/data", "after", -1), ZOK);
	TOLD(&one, ZOO_CHANGED_EVENT, "/r/data");
	MUST(zoo_create(two.zh, "/r/tree/n-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, name, sizeof name), ZOK);
	MUST(strcmp(name, "/r/tree/n-0000000100"), 0);
	TOLD(&one, ZOO_CHILD_EVENT, "/r/tree");
	MUST(create(&two, "/r/missing", "", 0), ZOK);
	TOLD(&one, ZOO_CREATED_EVENT, "/r/missing");
	return 1;
}

int main(int argc, char **argv)
{
	char line[100];
	if (argc < 2)
		return 2;
	servers = argv[1];
	zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
	if (!leave_orphan() || !start(&one, NULL) || !start(&two, NULL)) {
		printf("FAIL setup: %s\n", why);
		return 1;
	}
	check("create-read-update-delete", basics);
	check("errors", errors);
	check("sequential-container-ttl", kinds);
	check("acl-digest", acl_digest);
	check("acl-second-client-refused", acl_refused);
	check("multi-commit", multi_commit);
	check("multi-rollback", multi_rollback);
	check("watch-data", watch_data);
	check("watch-child", watch_child);
	check("watch-exists", watch_exists);
	check("watch-removed", watch_removed);
	check("lock-between-two", lock_between_two);
	check("ephemeral-gone-on-close", ephemeral_gone);
	check("session-reattached", session_reattached);
	if (!prepare_restart()) {
		printf("FAIL setup: %s\n", why);
		return 1;
	}
	printf("READY-FOR-RESTART\n");
	fflush(stdout);
	if (fgets(line, sizeof line, stdin) == NULL)
		return 1;
	check("restart-same-session", same_session);
	check("restart-data-kept", data_kept);
	check("restart-ephemeral-kept", ephemeral_kept);
	check("restart-auth-kept", auth_kept);
	check("restart-watches-fire", watches_fire);
	zookeeper_close(one.zh);
	zookeeper_close(two.zh);
	printf("DONE\n");
	return failed;
}
