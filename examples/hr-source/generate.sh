#!/bin/sh
# Writes a CSV file of made-up accounts to standard output.
#
# usage: generate.sh ROWS [SEED]
#
# One account in a hundred depends on the seed, so that another seed makes a file
# in which that many have changed.
exec awk -v rows="${1:?usage: generate.sh ROWS [SEED]}" -v seed="${2:-1}" 'BEGIN {
	split("Amara Bruno Chiara Dilan Edda Farid Greta Hugo Ines Jonas Kaya Lars", first, " ")
	split("Abena Brandt Costa Dvorak Eriksen Fontaine Greco Haddad Ivanova Jansen Keller", last, " ")
	split("Finance Engineering Sales People Operations", department, " ")
	split("Lisbon Oslo Graz Izmir", location, " ")
	print "id,name,firstName,lastName,email,department,title,manager,location,costCenter,status,groups"
	for (i = 0; i < rows; i++) {
		f = first[i % 12 + 1]; l = last[int(i / 12) % 11 + 1]; d = department[i % 5 + 1]
		title = i % 100 == 0 ? "Consultant " seed : "Specialist"
		printf "A%07d,%s %s,%s,%s,a%d@corp.example,%s,%s,A%07d,%s,CC%03d,active,\"staff, %s-%d\"\n",
			i, f, l, f, l, i, d, title, int(i / 8), location[i % 4 + 1], i % 400, tolower(d), i % 7
	}
}'
