package postgres

// bytesOf is text for a column of type bytea, which holds every character.
func bytesOf(s string) any {
	if s == "" {
		return nil
	}
	return []byte(s)
}
