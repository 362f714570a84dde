package delimitedtest

import "strconv"

// people are what accounts are drawn from.
type people struct {
	first, last, departments, titles, locations, groups []string
}

func newPeople() *people {
	return &people{
		first: []string{
			"Ada", "Amara", "Anneke", "Aoife", "Bela", "Bram", "Carla", "Chidi", "Dagny", "Deniz", "Edda", "Emil", "Farah", "Finn", "Gesa",
			"Goran", "Hanako", "Hugo", "Ilse", "Imran", "Jana", "João", "Kaja", "Kofi", "Leda", "Lorcan", "Maren", "Mateo", "Nadia", "Noor",
			"Oda", "Orhan", "Petra", "Pilar", "Quentin", "Rasmus", "Rosa", "Sanna", "Søren", "Tamar", "Tibor", "Ulla", "Viggo", "Wanda",
			"Xenia", "Yusuf", "Zoë", "Zoltan",
		},
		last: []string{
			"Abendroth", "Adeyemi", "Alder", "Bakker", "Birch", "Brandvold", "Castellan", "Cinar", "Dahl", "D'Arcy", "Dorn", "Eklund",
			"Espinoza", "Farrow", "Fjord", "Gantz", "Giordano", "Hale", "Hofer", "Ibarra", "Iversen", "Jansen", "Jelinek", "Kessel",
			"Kowalczyk", "Lindgren", "Lovelock", "Marchetti", "Moreau", "Nakata", "Novak", "O'Mahoney", "Okafor", "Pereira", "Prins",
			"Quist", "Rask", "Romero", "Sand", "Schäfer", "Szabo", "Tanaka", "Thorne", "Ueda", "Urban", "Valente", "Vos", "Wexler",
			"Winter", "Yilmaz", "Zeller", "Zimmer",
		},
		departments: []string{"Engineering", "Sales", "Finance", "Human Resources", "Legal", "Operations", "Support", "Research", "Purchasing", "Marketing"},
		titles:      []string{"Analyst", "Specialist", "Senior Specialist", "Team Lead", "Manager", "Director", "Assistant", "Engineer", "Consultant"},
		locations:   []string{"Aarhus", "Austin", "Berlin", "Lagos", "Lyon", "Osaka", "Porto", "Pune", "Quito", "Utrecht"},
		groups: []string{
			"all-staff", "vpn", "mail", "crm-read", "crm-write", "erp-read", "erp-post", "wiki-edit", "build", "deploy", "reports", "payroll",
			"audit-read", "travel", "stock", "helpdesk", "contractors", "board",
		},
	}
}

// append appends the line of an account.
func (p *people) append(line []byte, o *Options, account int) []byte {
	r := of(o.Seed, account, 'p')
	pick := func(from []string) string { return from[r.below(len(from))] }
	first, last := pick(p.first), pick(p.last)
	department, title := r.below(len(p.departments)), r.below(len(p.titles))
	if chosen(o.Seed, account, 'c', o.ChangePerMille) {
		department = (department + 1) % len(p.departments)
		title = (title + 1) % len(p.titles)
	}
	line = append(id(line, account), ',')
	line = append(append(append(line, first...), ' '), last...)
	line = append(append(line, ','), first...)
	line = append(append(line, ','), last...)
	line = append(append(line, ",u"...), strconv.Itoa(account)...)
	line = append(append(line, "@example.com,"...), p.departments[department]...)
	line = append(append(line, ','), p.titles[title]...)
	line = append(line, ',')
	if account > 0 {
		line = id(line, account/12)
	}
	line = append(append(line, ','), pick(p.locations)...)
	line = append(append(line, ",CC"...), strconv.Itoa(100+department*10+r.below(10))...)
	status := "active"
	if r.below(20) == 0 {
		status = "inactive"
	}
	line = append(append(line, ','), status...)
	line = append(line, ',')
	if o.Groups {
		line = p.appendGroups(line, &r)
	}
	return append(line, '\n')
}

// appendGroups appends different groups, neighbours in the list.
func (p *people) appendGroups(line []byte, r *random) []byte {
	line = append(line, '"')
	from := r.below(len(p.groups))
	for i := range 1 + r.below(5) {
		if i > 0 {
			line = append(line, ',')
		}
		line = append(line, p.groups[(from+i)%len(p.groups)]...)
	}
	return append(line, '"')
}
