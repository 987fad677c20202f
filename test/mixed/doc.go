// Package mixed runs ensembles of Apache's servers and ours.
//
//   - Our vote among Apache's servers, without a server behind it.
//   - Each kind leads the other, under load, with members killed and taken back.
//   - A rolling replacement of every server by one of the other kind and back, under load: nothing
//     acknowledged is lost, and no session notices.
//   - DIFF, TRUNC and SNAP from each kind to the other.
//
// Load and checks are those of test/ensemble; besides, all servers end with equal trees at one zxid, and no
// server of Apache's may have found its tree other than what the leader says.
//
// The tests need java and the jars that test/apache/get.sh fetches, and say so where they are missing. All
// but the first run only where PADDOCK_MIXED is set: to "ci", which takes three minutes, or to "full", which
// adds Debian's 3.8.0 and ensembles of one kind only. PADDOCK_MIXED_OURS is another kind to put in our place,
// to see what Apache's servers do to each other.
package mixed
