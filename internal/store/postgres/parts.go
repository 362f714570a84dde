package postgres

// parts are what other files keep in a Store.
type parts struct{}

func (p *parts) openParts() error { return nil }

func (p *parts) closeParts() {}
