// Package auth says who a client is, and what it may do.
//
//	accept   ──Connect──▶ Identities          every connection begins as ip:<address>
//	auth op  ──Authenticate──▶ Identities     the old set and one more; the old one stays as it was
//	request  ──May(acl, need)──▶ yes or no    reads the encoded list in place, allocates nothing
//	create, setACL ──Fixup──▶ list to store   `auth` expanded, duplicates gone, nonsense refused
//	getACL   ──AppendMasked──▶ reply          digests hidden from who may not administer
//
// Rules is the configuration, and Identities a set of identities under those rules. Both are
// immutable: a request carries the pointer its connection had when the request was read, and any
// goroutine may ask it.
//
// # Schemes
//
//	world    anyone; no identity
//	ip       the address of the connection; ACLs may name networks
//	digest   user and a hash of user:password
//	super    what the superDigest makes of a digest user; everything is allowed; not for ACLs
//	auth     in a request only: stands for the identities the client has authenticated as
//
// A scheme without a provider (sasl and x509 too, until they have one) is refused in new lists, and
// an entry of it in an old list matches nobody.
//
// # Text
//
// Java reads schemes and ids as text and writes that text back: bytes that are no UTF-8 become U+FFFD, a
// character beyond U+FFFF becomes two surrogates of three bytes. Fixup and Authenticate bring ids
// into this form (wire.AppendJavaString), so what is stored is what Apache's server would send back,
// and comparing bytes compares text. The hash of a digest is over plain UTF-8, as Java's is.
//
// Invariants: nothing that is compared with a secret takes time that depends on where they differ;
// May never allocates; a set of identities is bounded (maxIdentities). The package knows neither
// connections nor znodes, and reads no files.
package auth
