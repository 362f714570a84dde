#!/bin/sh
# Refreshes the lifecycle state of the identities of a CSV file: future, active
# or inactive by their dates. It warns of managers who are not in the file.
#
# usage: refresh.sh IDENTITIES.csv REFRESHED.csv
#
# Run under `stint exec`, its ::progress and ::warning lines become the task's
# progress and messages. Run alone, they are just lines.
set -eu

in=$1
out=$2
today=$(date +%Y-%m-%d)
total=$(($(wc -l <"$in") - 1))
[ "$total" -gt 0 ] || {
	echo "::error $in holds no identities"
	exit 1
}

# Names are quoted and hold commas; the columns after them are found from the end.
awk -v today="$today" -v total="$total" -v out="$out" '
	NR == FNR { if (FNR > 1) { split($0, f, ","); known[f[1]] = 1 }; next }
	FNR == 1 { print $0 ",lifecycleState" > out; next }
	{
		n = split($0, f, ",")
		id = f[1]; department = f[n - 3]; manager = f[n - 2]; start = f[n - 1]; end = f[n]
		state = "active"
		if (start > today) state = "future"
		if (end != "" && end < today) state = "inactive"
		count[state]++
		print $0 "," state > out
		if (manager != "" && !(manager in known))
			print "::warning The manager of " id " is not in the file"
		if (FNR % 3 == 0 || FNR - 1 == total) {
			printf "::progress %d Refreshed %d of %d identities\n", (FNR - 1) * 100 / total, FNR - 1, total
			fflush()
			system("sleep 0.08") # stands for the systems that a real refresh asks
		}
	}
	END {
		for (state in count) print "::attribute " state "=" count[state]
		print "::attribute total=" total
		print total " identities refreshed"
	}
' "$in" "$in"
