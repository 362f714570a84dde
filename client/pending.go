package client

import "unicode/utf8"

const (
	// maxReport is about how much message text goes into one report: escaped it stays below
	// the server's bound of 1 MiB.
	maxReport = 160 << 10
	// maxReportMessages is below the server's bound of 250.
	maxReportMessages = 200
	// maxMessageText is the longest text of a message, in bytes.
	maxMessageText = 120 << 10
	// maxAttributeNames bounds the attributes that wait for a report.
	maxAttributeNames = 1000
)

// pending is what is still to be reported. What is set twice is reported once.
type pending struct {
	progress   *string
	percent    *int
	messages   []ReportMessage
	attributes map[string]any
	returns    []Return
}

func (p *pending) empty() bool {
	return p.progress == nil && p.percent == nil && len(p.messages) == 0 && len(p.attributes) == 0 && p.returns == nil
}

func (p *pending) setProgress(text string) {
	text = shorten(cleanText(text), maxProgress)
	p.progress = &text
}

func (p *pending) setPercent(percent int) {
	percent = min(max(percent, 0), 100)
	// It never falls, also between two reports that are sent as one.
	if p.percent != nil && *p.percent > percent {
		return
	}
	p.percent = &percent
}

// setAttribute says whether there was room for it.
func (p *pending) setAttribute(name string, value any) bool {
	if p.attributes == nil {
		p.attributes = map[string]any{}
	}
	name = cleanText(name)
	if _, known := p.attributes[name]; !known && len(p.attributes) >= maxAttributeNames {
		return false
	}
	p.attributes[name] = cleanValue(value)
	return true
}

// shorten cuts text to a number of bytes, between characters.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// take moves out what fits into one report; the rest stays. The report carries final only
// when nothing is left.
func (p *pending) take(final CompletionStatus) Report {
	report := Report{
		Progress: p.progress, PercentComplete: p.percent,
		Attributes: p.attributes, Returns: p.returns,
	}
	size, n := 0, 0
	for n < min(len(p.messages), maxReportMessages) {
		size += len(p.messages[n].Text) + 100
		if n > 0 && size > maxReport {
			break
		}
		n++
	}
	report.Messages = p.messages[:n:n]
	*p = pending{messages: p.messages[n:]}
	if p.empty() {
		report.CompletionStatus = final
	}
	return report
}
