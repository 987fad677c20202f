package sim

import ("testing";"fmt";"os";"strconv")

func TestHashes(t *testing.T) {
	f, _ := os.Create(os.Getenv("HASHES"))
	for s := uint64(1); s <= 60; s++ { fmt.Fprintln(f, Run(s, Options{}).String()) }
	f.Close()
}
func TestZZ(t *testing.T) {
	a, _ := strconv.Atoi(os.Getenv("FIRST")); n, _ := strconv.Atoi(os.Getenv("N"))
	bad := 0
	marks := map[string]int{}
	o := Options{Ensemble: true}
	if os.Getenv("TRACE") != "" { f, _ := os.Create(os.Getenv("TRACE")); o.Trace = f }
	for s := a; s < a+n; s++ { r := Run(uint64(s), o)
		for k, v := range r.Marks { marks[k] += v }
		if r.Err != nil { bad++; fmt.Printf("seed %d: %.600v\n", s, r.Err); if bad > 8 {break} } else { fmt.Println(r) } }
	fmt.Println(summary(marks))
}
