//go:build go1.20

package main

import "errors"

// setFirstTypeID fails: the vector file is made with Go 1.19 only.
func setFirstTypeID(int32) error {
	return errors.New("vectors are made with Go 1.19")
}
