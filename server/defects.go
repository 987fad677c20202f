package server

import "time"

// Defect is a bug that servers of this protocol have had. A Driven server can be given some, so that the
// simulator proves that it finds them; no other server has any.
type Defect string

// DriveWith is Drive with defects.
func DriveWith(defects []Defect, cfg Config, now time.Time) (*Driven, error) {
	d, err := Drive(cfg, now)
	if err != nil {
		return nil, err
	}
	return d, nil
}
