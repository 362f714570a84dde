package client

// maxReport is about how much message text goes into one report: escaped it stays below the
// server's bound of 1 MiB.
const maxReport = 160 << 10

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
	text = cleanText(text)
	if len(text) > maxProgress {
		text = cleanText(text[:maxProgress-3]) + "…"
	}
	p.progress = &text
}

func (p *pending) setPercent(percent int) {
	percent = min(max(percent, 0), 100)
	p.percent = &percent
}

func (p *pending) setAttribute(name string, value any) {
	if p.attributes == nil {
		p.attributes = map[string]any{}
	}
	p.attributes[cleanText(name)] = cleanValue(value)
}

// take moves out what fits into one report; the rest stays. The report carries final only
// when nothing is left.
func (p *pending) take(final CompletionStatus) Report {
	report := Report{
		Progress: p.progress, PercentComplete: p.percent,
		Attributes: p.attributes, Returns: p.returns,
	}
	size, n := 0, 0
	for n < len(p.messages) {
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
