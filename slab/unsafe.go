package slab

import (
	"fmt"
	"reflect"
	"unsafe"
)

// This file is the only one with unsafe code; the package comment argues for it.

func sizeOf[T any]() int {
	var t T
	return int(unsafe.Sizeof(t))
}

// checkType panics if records of T cannot live outside the collected heap, or hold no link when
// free.
func checkType[T any]() {
	var t T
	typ := reflect.TypeFor[T]()
	if hasPointer(typ) {
		panic(fmt.Sprintf("slab: %v holds pointers", typ))
	}
	if unsafe.Sizeof(t) == 0 || unsafe.Alignof(t) > minBlock {
		panic(fmt.Sprintf("slab: %v has size %d, alignment %d", typ, unsafe.Sizeof(t), unsafe.Alignof(t)))
	}
}

func checkLink[T any]() {
	var t T
	if unsafe.Sizeof(t) < linkBytes || unsafe.Alignof(t) < linkBytes {
		panic(fmt.Sprintf("slab: %v has no room for a link", reflect.TypeFor[T]()))
	}
}

func hasPointer(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return false
	case reflect.Array:
		return t.Len() > 0 && hasPointer(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hasPointer(t.Field(i).Type) {
				return true
			}
		}
		return false
	}
	return true
}

// records views a whole block as records. Blocks are aligned to minBlock, T checked to need no
// more.
func records[T any](b []byte) []T {
	p := unsafe.Pointer(unsafe.SliceData(b))
	var t T
	if uintptr(p)%unsafe.Alignof(t) != 0 {
		panic(fmt.Sprintf("slab: block at %p is not aligned to %d", p, unsafe.Alignof(t)))
	}
	return unsafe.Slice((*T)(p), len(b)/sizeOf[T]())
}

// blockOf is the way back from records: the block of size bytes that v lies at the start of.
func blockOf[T any](v []T, size int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), size)
}

// link is the first word of a free record; checkLink has seen that there is one.
func link[T any](p *T) *uint32 { return (*uint32)(unsafe.Pointer(p)) }

// bytesOf is a record as bytes, for poisoning.
func bytesOf[T any](p *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), sizeOf[T]())
}
