package wire

// The records of operations on znodes, both ways: Append is the one side, Decode the other. Byte
// fields alias the frame that they were read from; nil is null on the wire, empty is not. What
// comes behind the last field is left in the reader and ignored, as ZooKeeper does. Source:
// zookeeper.jute.
//
// Operations with the same fields share a type; the names of ZooKeeper's records are aliases of it.

// PathRecord is a path, or what some records call so: the prefix of getEphemerals.
type PathRecord struct{ Path []byte }

// Records that are a path and nothing else.
type (
	GetACLRequest               = PathRecord
	SyncRequest                 = PathRecord
	SyncResponse                = PathRecord
	CreateResponse              = PathRecord
	GetEphemeralsRequest        = PathRecord
	GetAllChildrenNumberRequest = PathRecord
)

// Append appends q.
func (q *PathRecord) Append(dst []byte) []byte { return AppendString(dst, q.Path) }

// Decode reads q from r.
func (q *PathRecord) Decode(r *Reader) error {
	q.Path = r.String()
	return r.Err()
}

// ReadRequest asks for a node, and perhaps to be told when it changes.
type ReadRequest struct {
	Path  []byte
	Watch bool
}

// Records of reads that can leave a watch.
type (
	ExistsRequest       = ReadRequest
	GetDataRequest      = ReadRequest
	GetChildrenRequest  = ReadRequest
	GetChildren2Request = ReadRequest
)

// Append appends q.
func (q *ReadRequest) Append(dst []byte) []byte {
	return AppendBool(AppendString(dst, q.Path), q.Watch)
}

// Decode reads q from r.
func (q *ReadRequest) Decode(r *Reader) error {
	q.Path, q.Watch = r.String(), r.Bool()
	return r.Err()
}

// VersionRequest names a node and the version that it must have; -1: any.
type VersionRequest struct {
	Path    []byte
	Version int32
}

// Records that are a path and a version. A check stands in a multi only.
type (
	DeleteRequest       = VersionRequest
	CheckVersionRequest = VersionRequest
)

// Append appends q.
func (q *VersionRequest) Append(dst []byte) []byte {
	return AppendInt(AppendString(dst, q.Path), q.Version)
}

// Decode reads q from r.
func (q *VersionRequest) Decode(r *Reader) error {
	q.Path, q.Version = r.String(), r.Int()
	return r.Err()
}

// Flags of a create request. Source: CreateMode.
const (
	FlagsPersistent           int32 = 0
	FlagsEphemeral            int32 = 1
	FlagsPersistentSequential int32 = 2
	FlagsEphemeralSequential  int32 = 3
	FlagsContainer            int32 = 4
	FlagsTTL                  int32 = 5
	FlagsSequentialTTL        int32 = 6
)

// CreateRequest is the record of create, create2 and createContainer.
type CreateRequest struct {
	Path  []byte
	Data  []byte
	ACL   ACLVec
	Flags int32
}

// Append appends q.
func (q *CreateRequest) Append(dst []byte) []byte {
	dst = AppendString(dst, q.Path)
	dst = AppendBuffer(dst, q.Data)
	dst = AppendACLs(dst, q.ACL)
	return AppendInt(dst, q.Flags)
}

// Decode reads q from r.
func (q *CreateRequest) Decode(r *Reader) error {
	q.Path, q.Data, q.ACL, q.Flags = r.String(), r.Buffer(), r.ACLs(), r.Int()
	return r.Err()
}

// CreateTTLRequest is the record of createTTL.
type CreateTTLRequest struct {
	CreateRequest
	TTL int64 // ms
}

// Append appends q.
func (q *CreateTTLRequest) Append(dst []byte) []byte {
	return AppendLong(q.CreateRequest.Append(dst), q.TTL)
}

// Decode reads q from r.
func (q *CreateTTLRequest) Decode(r *Reader) error {
	q.CreateRequest.Decode(r)
	q.TTL = r.Long()
	return r.Err()
}

// Create2Response answers create2, createContainer and createTTL. Path is the final one.
type Create2Response struct {
	Path []byte
	Stat Stat
}

// Append appends p.
func (p *Create2Response) Append(dst []byte) []byte {
	return AppendStat(AppendString(dst, p.Path), &p.Stat)
}

// Decode reads p from r.
func (p *Create2Response) Decode(r *Reader) error {
	p.Path = r.String()
	p.Stat.Decode(r)
	return r.Err()
}

// StatResponse is a Stat: of the node as it is, or as the change left it.
type StatResponse struct{ Stat Stat }

// Replies that are a Stat and nothing else.
type (
	ExistsResponse  = StatResponse
	SetDataResponse = StatResponse
	SetACLResponse  = StatResponse
)

// Append appends p.
func (p *StatResponse) Append(dst []byte) []byte { return AppendStat(dst, &p.Stat) }

// Decode reads p from r.
func (p *StatResponse) Decode(r *Reader) error {
	p.Stat.Decode(r)
	return r.Err()
}

// GetDataResponse answers getData, and reconfig with the new configuration.
type GetDataResponse struct {
	Data []byte
	Stat Stat
}

// Append appends p.
func (p *GetDataResponse) Append(dst []byte) []byte {
	return AppendStat(AppendBuffer(dst, p.Data), &p.Stat)
}

// Decode reads p from r.
func (p *GetDataResponse) Decode(r *Reader) error {
	p.Data = r.Buffer()
	p.Stat.Decode(r)
	return r.Err()
}

// SetDataRequest is the record of setData.
type SetDataRequest struct {
	Path    []byte
	Data    []byte
	Version int32
}

// Append appends q.
func (q *SetDataRequest) Append(dst []byte) []byte {
	dst = AppendString(dst, q.Path)
	dst = AppendBuffer(dst, q.Data)
	return AppendInt(dst, q.Version)
}

// Decode reads q from r.
func (q *SetDataRequest) Decode(r *Reader) error {
	q.Path, q.Data, q.Version = r.String(), r.Buffer(), r.Int()
	return r.Err()
}

// GetACLResponse answers getACL.
type GetACLResponse struct {
	ACL  ACLVec
	Stat Stat
}

// Append appends p.
func (p *GetACLResponse) Append(dst []byte) []byte {
	return AppendStat(AppendACLs(dst, p.ACL), &p.Stat)
}

// Decode reads p from r.
func (p *GetACLResponse) Decode(r *Reader) error {
	p.ACL = r.ACLs()
	p.Stat.Decode(r)
	return r.Err()
}

// SetACLRequest is the record of setACL. Version is the aversion that the node must have.
type SetACLRequest struct {
	Path    []byte
	ACL     ACLVec
	Version int32
}

// Append appends q.
func (q *SetACLRequest) Append(dst []byte) []byte {
	dst = AppendString(dst, q.Path)
	dst = AppendACLs(dst, q.ACL)
	return AppendInt(dst, q.Version)
}

// Decode reads q from r.
func (q *SetACLRequest) Decode(r *Reader) error {
	q.Path, q.ACL, q.Version = r.String(), r.ACLs(), r.Int()
	return r.Err()
}

// StringsResponse is a list of strings: names of children without the parent's path, or whole paths
// of ephemerals; in no order. Servers never send null: some clients read its length as unsigned.
type StringsResponse struct{ Strings StringVec }

// Replies that are a list of strings and nothing else.
type (
	GetChildrenResponse   = StringsResponse
	GetEphemeralsResponse = StringsResponse
)

// Append appends p.
func (p *StringsResponse) Append(dst []byte) []byte { return AppendStrings(dst, p.Strings) }

// Decode reads p from r.
func (p *StringsResponse) Decode(r *Reader) error {
	p.Strings = r.Strings()
	return r.Err()
}

// GetChildren2Response answers getChildren2.
type GetChildren2Response struct {
	Children StringVec
	Stat     Stat
}

// Append appends p.
func (p *GetChildren2Response) Append(dst []byte) []byte {
	return AppendStat(AppendStrings(dst, p.Children), &p.Stat)
}

// Decode reads p from r.
func (p *GetChildren2Response) Decode(r *Reader) error {
	p.Children = r.Strings()
	p.Stat.Decode(r)
	return r.Err()
}

// GetAllChildrenNumberResponse answers getAllChildrenNumber: descendants at any depth, without the
// node.
type GetAllChildrenNumberResponse struct{ TotalNumber int32 }

// Append appends p.
func (p *GetAllChildrenNumberResponse) Append(dst []byte) []byte {
	return AppendInt(dst, p.TotalNumber)
}

// Decode reads p from r.
func (p *GetAllChildrenNumberResponse) Decode(r *Reader) error {
	p.TotalNumber = r.Int()
	return r.Err()
}

// ReconfigRequest is the record of reconfig: an incremental change in the first two, or a whole new
// configuration in the third. A GetDataResponse answers it.
type ReconfigRequest struct {
	JoiningServers []byte
	LeavingServers []byte
	NewMembers     []byte
	CurConfigID    int64 // the version that must be in force; -1: any
}

// Append appends q.
func (q *ReconfigRequest) Append(dst []byte) []byte {
	dst = AppendString(dst, q.JoiningServers)
	dst = AppendString(dst, q.LeavingServers)
	dst = AppendString(dst, q.NewMembers)
	return AppendLong(dst, q.CurConfigID)
}

// Decode reads q from r.
func (q *ReconfigRequest) Decode(r *Reader) error {
	q.JoiningServers, q.LeavingServers, q.NewMembers = r.String(), r.String(), r.String()
	q.CurConfigID = r.Long()
	return r.Err()
}
