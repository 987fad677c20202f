package slab

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestSizeClassesAreTightAndOrdered(t *testing.T) {
	last, lastSize := -1, 0
	for n := 1; n < 1<<21; n++ {
		class, size := classOf(n)
		if size < n || size%granule != 0 {
			t.Fatalf("%d bytes got a block of %d", n, size)
		}
		if waste := size - n; waste >= granule && waste*8 > n {
			t.Fatalf("%d bytes got a block of %d: more than an eighth is lost", n, size)
		}
		if class != last && (class != last+1 || n != lastSize+1) {
			t.Fatalf("%d bytes are class %d of %d; the class before is %d of %d", n, class, size, last, lastSize)
		}
		last, lastSize = class, size
	}
	if class, size := classOf(1<<31 - 1); class >= nClasses || size != 1<<31 {
		t.Errorf("2 GiB - 1 are class %d of %d, want a class below %d of %d bytes", class, size, nClasses, 1<<31)
	}
}

// The twin is a map of copies: whatever is alloc'd and freed, live blocks keep their bytes.
func TestAnArenaKeepsWhatItWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := NewArena(NewSpace())
		twin := map[Handle][]byte{}
		var handles []Handle
		var live int64
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(41, 5000), rapid.Just(70000)).Draw(t, "n")
				b := bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, n)
				h := a.Put(b)
				if n == 0 {
					if h != 0 {
						t.Fatalf("an empty value got handle %d, want 0", h)
					}
					return
				}
				if _, used := twin[h]; used || h == 0 {
					t.Fatalf("handle %d was handed out twice", h)
				}
				twin[h] = b
				handles = append(handles, h)
				live += int64(BlockBytes(n))
			},
			"free": func(t *rapid.T) {
				if len(handles) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(handles)-1).Draw(t, "i")
				h := handles[i]
				a.Free(h, len(twin[h]))
				live -= int64(BlockBytes(len(twin[h])))
				delete(twin, h)
				handles = append(handles[:i], handles[i+1:]...)
			},
			"overwrite": func(t *rapid.T) {
				if len(handles) == 0 {
					t.Skip()
				}
				h := rapid.SampledFrom(handles).Draw(t, "h")
				_, size := classOf(len(twin[h]))
				n := rapid.IntRange(1, size).Draw(t, "n")
				if !SameClass(n, len(twin[h])) {
					t.Skip()
				}
				b := bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, n)
				copy(a.Bytes(h, n), b)
				twin[h] = b
			},
			"": func(t *rapid.T) {
				for h, want := range twin {
					if got := a.Bytes(h, len(want)); !bytes.Equal(got, want) {
						t.Fatalf("block %d of %d bytes changed", h, len(want))
					}
				}
				if a.Live() != live {
					t.Fatalf("Live() = %d, want %d", a.Live(), live)
				}
			},
		})
	})
}

func TestAFreedBlockIsUsedAgain(t *testing.T) {
	a := NewArena(NewSpace())
	h := a.Put(make([]byte, 100))
	a.Free(h, 100)
	if got := a.Put(make([]byte, 97)); got != h {
		t.Errorf("97 bytes got handle %d, want %d, freed with 100", got, h)
	}
	if n := testing.AllocsPerRun(100, func() { a.Free(a.Alloc(300), 300) }); n != 0 {
		t.Errorf("alloc and free: %v allocs, want 0", n)
	}
}

// FuzzArena reads a program from the input: two bytes say how much to put, or what to free.
func FuzzArena(f *testing.F) {
	f.Add([]byte{10, 0, 0, 1, 20, 0, 1, 1})
	f.Fuzz(func(t *testing.T, program []byte) {
		a := NewArena(NewSpace())
		type block struct {
			h Handle
			b []byte
		}
		var live []block
		for ; len(program) >= 2; program = program[2:] {
			if program[1]&1 == 1 && len(live) > 0 {
				i := int(program[0]) % len(live)
				a.Free(live[i].h, len(live[i].b))
				live = append(live[:i], live[i+1:]...)
				continue
			}
			b := bytes.Repeat(program[:1], int(program[0])*int(program[1])+1)
			live = append(live, block{a.Put(b), b})
		}
		for _, l := range live {
			if !bytes.Equal(a.Bytes(l.h, len(l.b)), l.b) {
				t.Fatalf("block %d of %d bytes changed", l.h, len(l.b))
			}
		}
	})
}

func BenchmarkArenaReplace(b *testing.B) {
	a := NewArena(NewSpace())
	h := a.Alloc(100)
	b.ReportAllocs()
	for b.Loop() {
		n := a.Alloc(100)
		a.Free(h, 100)
		h = n
	}
}
