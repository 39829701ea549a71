# Loops with forks, pipes and substitutions; nothing that only bash knows.
set -eu

i=0 all=
while [ $i -lt 150 ]; do
    i=$((i + 1))
    value=$(echo "$i" | sed "s/\$/ $((i * i % 97))/" | (read -r a b; echo "$b-$a"))
    all="$all $value"
done
echo "$all" | cksum

for kind in a b c d; do
    (
        j=0
        while [ $j -lt 2000 ]; do
            j=$((j + 1))
            echo "$kind$((j * 7919 % 2003))"
        done
    ) | sort | uniq -c | sort -k 1n -k 2 | cksum &
    wait $!
done

long=x
while [ ${#long} -lt 300000 ]; do long="$long$long"; done
printf %s "$long" | wc -c
