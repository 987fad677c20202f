//go:build race

package watch

// underRace: the detector's own memory would be measured, and it makes a million watches take minutes.
const underRace = true
