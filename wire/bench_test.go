package wire

import "testing"

// Round trips as a server makes them: the header and the record are decoded in place, the reply is
// appended to a buffer that is used again.

var benchPath = []byte("/app/service-7/instances/host-0000000042")

func benchFrame(op Op, q record) []byte {
	h := RequestHeader{7, op}
	return q.Append(h.Append(nil))
}

func BenchmarkGetData(b *testing.B) {
	frame := benchFrame(OpGetData, &GetDataRequest{benchPath, true})
	data := make([]byte, 100)
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(frame)
		var h RequestHeader
		var q GetDataRequest
		h.Decode(&r)
		if q.Decode(&r) != nil {
			b.Fatal(r.Err())
		}
		reply, body := ReplyHeader{h.Xid, 2, OK}, GetDataResponse{data, stat}
		var mark int
		out, mark = BeginFrame(out[:0])
		out = EndFrame(body.Append(reply.Append(out)), mark)
	}
}

func BenchmarkSetData(b *testing.B) {
	frame := benchFrame(OpSetData, &SetDataRequest{benchPath, make([]byte, 100), -1})
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(frame)
		var h RequestHeader
		var q SetDataRequest
		h.Decode(&r)
		if q.Decode(&r) != nil || !ValidatePath(q.Path) {
			b.Fatal(r.Err())
		}
		reply, body := ReplyHeader{h.Xid, 2, OK}, SetDataResponse{stat}
		var mark int
		out, mark = BeginFrame(out[:0])
		out = EndFrame(body.Append(reply.Append(out)), mark)
	}
}

func BenchmarkCreate(b *testing.B) {
	frame := benchFrame(OpCreate, &CreateRequest{benchPath, make([]byte, 100), OpenACL, FlagsEphemeral})
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(frame)
		var h RequestHeader
		var q CreateRequest
		h.Decode(&r)
		if q.Decode(&r) != nil || !ValidatePath(q.Path) {
			b.Fatal(r.Err())
		}
		n := 0
		for it := q.ACL.Iter(); it.Next(); n++ {
		}
		reply, body := ReplyHeader{h.Xid, 2, OK}, CreateResponse{q.Path}
		var mark int
		out, mark = BeginFrame(out[:0])
		out = EndFrame(body.Append(reply.Append(out)), mark)
	}
}

func BenchmarkMulti(b *testing.B) {
	del := &DeleteRequest{benchPath, -1}
	body := multiOf(OpCreate, create(0), OpSetData, &SetDataRequest{benchPath, make([]byte, 100), 0}, OpDelete, del, OpCheck, del)
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		ops, err := NewMultiIter(body, MultiWrite)
		if err != nil {
			b.Fatal(err)
		}
		out = out[:0]
		for ops.Next() {
			out = AppendMultiResult(out, ops.Op(), benchPath, &stat)
		}
		out = AppendMultiEnd(out)
	}
}

func BenchmarkSetDataTxn(b *testing.B) {
	txn := (&SetDataTxn{benchPath, make([]byte, 100), 3}).Append(header(OpSetData))
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(txn)
		var h TxnHeader
		var x SetDataTxn
		h.Decode(&r)
		if x.Decode(&r) != nil {
			b.Fatal(r.Err())
		}
		out = x.Append(h.Append(out[:0]))
	}
}

func BenchmarkValidatePath(b *testing.B) {
	for _, c := range []struct{ name, path string }{
		{"ascii", string(benchPath)}, {"latin", "/app/sérvice-7/instances/host-0000000042"},
	} {
		path := []byte(c.path)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !ValidatePath(path) {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkAppendJavaString(b *testing.B) {
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		out = AppendJavaString(out[:0], benchPath)
	}
}
