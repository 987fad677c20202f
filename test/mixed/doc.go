// Package mixed runs ensembles of Apache's servers and ours.
//
// The tests need java and the jars that test/apache/get.sh fetches, and say so where they are missing.
package mixed
