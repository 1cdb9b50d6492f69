//go:build !go1.20

package main

import _ "unsafe" // for go:linkname

// gobNextID is encoding/gob's own record of the last type id it gave away. Each process counts
// anew from 64, so that the first id is 65; newer ones (1.24 for one) give away 64 first.
//
//go:linkname gobNextID encoding/gob.nextId
var gobNextID int32

func setFirstTypeID(id int32) error {
	gobNextID = id - 1
	return nil
}
