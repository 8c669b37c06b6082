"""One-liners of debugging sessions, here and in a real busybox: the same output and exit code over the same files."""

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from surroundings import Machine, Result

from podwire.services.node.processes import PidNamespace
from podwire.services.node.programs.filesystem import BytesReader
from podwire.services.node.programs.toolboxes import BUSYBOX
from podwire.services.node.runtime.programs import run

BUSYBOX_PATH = shutil.which("busybox")
LOG = """2024-05-01T10:00:01 INFO  GET /api/users 200 12ms
2024-05-01T10:00:02 ERROR POST /api/orders 500 340ms
2024-05-01T10:00:03 INFO  GET /health 200 1ms
2024-05-01T10:00:04 WARN  GET /api/users 404 3ms
2024-05-01T10:00:05 ERROR GET /api/items 503 1200ms
"""
CONF = "# settings\n[server]\nport = 8080\nhost=0.0.0.0\n\n[client]\nretries = 3\n"
TREE = {
    "log": LOG,
    "conf/app.ini": CONF,
    "conf/empty": "",
    "conf/deep/a.yaml": "kind: Pod\nname: web\n",
    "people.csv": "name,age,city\nann,31,Oslo\nbob,25,Rome\ncid,31,Bern\n",
    "numbers": "10\n9\n2\n33\n-4\n2\n",
    "sizes": "4K\t/a\n1M\t/b\n512\t/c\n2G\t/d\n",
    "words": "one two  three\nfour\tfive six\n\nseven eight nine ten\n",
    "hosts": "127.0.0.1\tlocalhost\n10.244.1.2\tweb-0 web\n10.244.1.3\tweb-1\n",
    "nonl": "no newline",
}
AWK = r"""
awk '{print $1}' words
awk '{print $NF}' words
awk '{print NR": "$0}' words
awk -F, '{print $2,$1}' people.csv
awk -F, 'NR>1{s+=$2}END{print s/NR, s}' people.csv
awk '/ERROR/{print $3,$4}' log
awk '$5>=500' log
awk '$5>=500{n++}END{print n+0}' log
awk '{c[$2]++}END{for(k in c)print k,c[k]}' log | sort
awk 'BEGIN{printf "%5.2f|%-5s|%05d|%x|%c\n", 3.14159, "ab", 42, 255, "z"}'
awk 'END{print NR}' log
awk 'NR==2,NR==3' log
awk '/WARN/,/ERROR/{print $1}' log
awk '!seen[$1]++' numbers
awk 'length>20' log
awk '{print length($0), toupper($1)}' words
awk '{gsub(/o/,"0"); print}' words
awk '{sub(/[a-z]+/,"<&>"); print}' words
awk 'BEGIN{n=split("a:b:c",p,":"); print n,p[1],p[3]}'
awk 'BEGIN{print substr("hello",2,3), index("hello","l"), match("foobar","o+"), RSTART, RLENGTH}'
awk -F'[ =]+' '/port/{print $2}' conf/app.ini
awk -F: '{print $2}' conf/deep/a.yaml
awk 'BEGIN{while(i<3){print i++}; do{i--}while(i>0); print i}'
awk 'BEGIN{for(i=0;i<5;i++){if(i==1)continue;if(i==4)break;print i}}'
awk '{$2="X"; print; print NF}' words
awk 'BEGIN{OFS="-"}{$1=$1; print}' words
awk 'NF' words
awk '{print > "/dev/stderr"}' nonl 2>&1
awk 'BEGIN{exit 3}'
awk '{exit 4}END{print "end"}' log
awk '$2 ~ /^W/ {print $2}' log
awk '$2 !~ /INFO|WARN/ {print $NF}' log
awk 'BEGIN{print 1==1.0, "a"<"b", 2<10, "2"<"10"}'
awk '{print ($1>5)?"big":"small"}' numbers
awk 'BEGIN{print length("x" 12), 1e3, 0.1+0.2, 100000000, 1/3}'
awk '{s=s $1 ","}END{print s}' numbers
awk 'BEGIN{a["x"]=1; if("x" in a)print "in"; delete a["x"]; print ("x" in a)}'
awk 'NR%2' numbers
awk -F'\t' '{print $2}' sizes
awk 'BEGIN { getline_missing }' log
awk 'BEGIN{print index("a.b","."); print "a" > "/dev/null"}'
awk -f /dev/null log
awk 'BEGIN{RS=""}{print NR": "$1}' words
awk '{print $(NF-1)}' log
awk 'BEGIN{printf "%s %s %s\n", "a", "b", "c"; printf("%d%%\n", 50)}'
"""
TEXT = r"""
cut -d, -f1,3 people.csv
cut -d, -f2- people.csv
cut -c1-4 words
cut -f2 sizes
tr a-z A-Z < words
tr -d '\n' < numbers
tr -s ' ' < words
tr ' ' '\n' < words | sort | uniq -c | sort -rn | head -3
tr -cd '0-9\n' < log
sort numbers
sort -n numbers
sort -rn numbers
sort -un numbers
sort -t, -k2,2n -k1,1r people.csv
sort -k2 log
sort -t, -k3 people.csv
sort -f words
sort -c numbers
sort -nc numbers 2>/dev/null
sort -o out numbers && cat out
uniq numbers
sort numbers | uniq -c
sort numbers | uniq -d
sort numbers | uniq -u
uniq -i words
printf 'a 1\nb 1\nc 2\n' | uniq -f1
head -2 log
head -n 1 log words
head -c 5 log
tail -2 log
tail -n +4 log
tail -c 4 nonl
tail -n 1 log words
wc log
wc -l log words
wc -w < words
wc -c nonl
cat -n words
cat log words | wc -l
cat nosuch log 2>/dev/null | wc -l
tac numbers
nl words
rev words
paste -sd, numbers
tee copy < nonl; cat copy
grep ERROR log
grep -c ERROR log
grep -v INFO log
grep -n GET log
grep -i error log
grep -o '[0-9]*ms' log
grep -E 'WARN|ERROR' log
grep -w GET log
grep -l port conf/*
grep -r port conf
grep -rn name conf
grep -q nosuch log
grep -A1 WARN log
grep -B1 -n WARN log
grep -x seven words
grep -F '.' hosts
grep -e INFO -e WARN log
grep -m1 INFO log
grep -s x nosuch
grep -oE '([0-9]{1,3}\.){3}[0-9]{1,3}' hosts
grep '\(a\)pi' log
grep '^$' words
grep -vE '^(#|$)' conf/app.ini
grep -ow 'web' hosts
sed 's/GET/get/' log
sed -n 2p log
sed '2d' log
sed -n '/WARN/,$p' log
sed 's/[0-9]\{1,\}/N/g' log
sed -E 's/([a-z]+),([0-9]+)/\2 \1/' people.csv
sed 's#/api#/v2#' log
sed -n '$=' log
sed '/^$/d' words
sed 's/^/> /' words
sed -e 's/a/1/' -e 's/b/2/' people.csv
sed '1,3d' log
sed -n '2,3p' log
sed 's/o/0/2' words
sed '/ERROR/s/POST/post/' log
sed -i 's/web/www/' hosts; cat hosts
sed 3q log
sed '2!d' log
sed 'y/abc/xyz/' people.csv
sed '1i\top' nonl
sed '$a end' numbers
sed '2c changed' numbers
sed -n '/port/{p;q}' conf/app.ini
sed 's/\(.\)\1/<\1>/' words
seq 3
seq 2 2 6
seq 3 -1 1
seq -s, 3
seq -w 8 10
printf '%s\n' a b
printf '%d %s\n' 1 x 2 y
printf '%05.1f|%-6s|%x\n' 2.25 ab 255
echo -n a; echo -e 'x\ty'
expr 3 + 4
expr 2 '*' 5
expr abc : 'a\(.*\)'
expr 1 = 2
expr length hello
basename /a/b/c.txt .txt
dirname /a/b/c.txt
md5sum nonl
sha1sum nonl
sha256sum nonl
sha512sum nonl
md5sum log > sums; md5sum -c sums
base64 nonl
base64 nonl | base64 -d
echo aGVsbG8= | base64 -d
od -c nonl
od -An -tx1 nonl
od -x nonl
hexdump -C nonl
xxd nonl
xxd -p nonl
cmp nonl log
cmp nonl nonl
diff numbers numbers
diff -u conf/app.ini conf/empty | tail -n +3
diff -q numbers log
printf '1\n2\n3\n4\n' > l; printf '1\n2\nx\n4\n5\n' > r; diff -U1 l r | tail -n +3
xargs < numbers
xargs -n1 echo x < numbers
echo a b c | xargs -n2
echo 'a b' | xargs -I{} echo [{}]
printf 'a\0b\0' | xargs -0 -n1 echo
echo "a 'b c'" | xargs -n1
"""
FILES = r"""
ls
ls -1 conf
ls -a conf
ls nosuch 2>/dev/null
ls -d conf
ls -R conf
ls -F
ls conf/*.ini
find . | sort
find . -type f | sort
find conf -name '*.yaml'
find . -type d | sort
find . -maxdepth 1 -type f -name 'n*' | sort
find conf -type f -exec echo {} \; | sort
find conf -type f -exec grep -l port {} +
find . -name '*.ini' -o -name '*.csv' | sort
find . ! -name '*.*' -type f | sort
find conf -empty
find conf -iname APP*
find conf -path '*deep*' | sort
find conf -type f -print0 | xargs -0 -n1 basename | sort
find conf -mindepth 1 -maxdepth 1 | sort
find conf -size 0 -type f
find nosuch 2>/dev/null
mkdir -p a/b/c && find a | sort
mkdir conf 2>/dev/null
cp log copy && cmp log copy
cp -r conf conf2 && find conf2 | sort
cp nosuch x 2>/dev/null
cp log numbers conf && ls conf
mv log log2 && ls
mv words conf/ && ls conf
mv nosuch x 2>/dev/null
rm log; ls
rm nosuch 2>/dev/null
rm -f nosuch
rm -r conf; ls
rm conf 2>/dev/null
rmdir conf 2>/dev/null
mkdir e && rmdir e && ls -d e 2>/dev/null
touch new && ls new && wc -c < new
ln -s log link && cat link | head -1 && readlink link
ln -s log link && [ -L link ] && [ ! -L log ] && ls -F link
ln -sf a l; ln -sf b l; readlink l
chmod 600 log && stat -c %a log
chmod u+x,go-r log && stat -c '%a %A' log
stat -c '%n %s %F' log
[ -f log ] && [ -d conf ] && [ ! -e nosuch ] && echo ok
[ -s conf/empty ] || echo empty
test log = log && echo same
[ 3 -gt 2 -a 2 -lt 3 ] && echo yes
[ -n "" ] ; echo $?
[ "$UNSET" ]; echo $?
truncate -s 3 nonl; cat nonl
cat < log > out; wc -l < out
which cat >/dev/null && echo found
which nosuch
true && false || echo fell
realpath conf/../log | sed 's#.*/##'
mktemp -d ./x.XXXXXX | sed 's/\..*/ok/; s/^.*x$/ok/'
env -i A=1 env
A=5 env | grep ^A=
timeout 1 sleep 5; echo $?
timeout 5 true; echo $?
date -d @0 -u '+%Y-%m-%d %H:%M:%S'
date -u -d @86400 +%F
"""
SHELL = r"""
for f in *; do [ -f "$f" ] && echo "$f"; done
for i in $(seq 3); do echo -n "$i "; done; echo
while read -r a b; do echo "$b"; done < words
while IFS=, read n a c; do echo "$c:$n"; done < people.csv
cat log | while read ts lvl rest; do case $lvl in ERROR) echo $ts;; esac; done
i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i
n=$(wc -l < log); echo "lines: $n"
f() { echo "$1-$#"; return 4; }; f a b; echo $?
x=hello; echo ${#x} ${x#he} ${x%lo} ${x:-d} ${y:-d} ${y:+s}
p=/a/b/c.tar.gz; echo ${p##*/} ${p%%.*} ${p%/*}
set -- a "b c" d; echo $# "$2"; shift; echo $1 $*
cat <<EOF
$((2+3)) $(echo sub) `echo tick`
EOF
cat <<'EOF'
$HOME `x`
EOF
(cd conf && pwd | sed 's#.*/##'); ls -d conf
{ echo a; echo b; } | sort -r
echo a >&2 2>/dev/null; echo b 2>&1
ls nosuch >/dev/null 2>&1 || echo "exit $?"
sh -c 'exit 7'; echo $?
sh -c 'echo $0 $1' x y
true; echo $?; false; echo $?
! true; echo $?
echo $((7/2)) $((7%3)) $((1<<4)) $((0x10)) $((010)) $((3>2?5:6)) $((~0))
a=1; a=$a$a; echo "$a" '$a' \$a
if grep -q ERROR log; then echo bad; else echo good; fi
until false; do echo once; break; done
trap 'echo bye' EXIT; echo hi
trap 'echo bye' EXIT; exit 3
sleep 0.1 & wait $!; echo $?
(exit 5) & wait $!; echo $?
echo "a b" | { read x y; echo $y; }
IFS=:; set -- $(echo a:b:c); echo $2
unset x; echo "${x-unset}"; x=; echo "${x-unset}"
eval 'y=3'; echo $y
[ "$(echo a)" = a ] && echo eq
case abc in a*) echo m;; esac; case x in [a-c]) echo no;; ?) echo one;; esac
echo {a,b} *.csv nosuch*
echo "tab	x" | cat
printf '%s' "a
b"; echo
command -v nosuch; echo $?
type cd >/dev/null; echo $?
echo 1 2 3 | (read a b; echo "$b")
cat log | head -1 | cut -d' ' -f1
x=$(cat nosuch 2>&1); echo $?
set -o pipefail; (exit 3) | false | true; echo $?; set +o pipefail; false | true; echo $?
set -e; false; echo no
set -o pipefail; false | true; echo $?
echo a | tee f | cat; cat f
ls | wc -l
echo ${x:=5} $x; echo ${p:1:2}
a="x y"; for w in $a; do echo $w; done; for w in "$a"; do echo $w; done
test 1 -eq 1 && echo y; [ a != b ] && echo z
echo $(( $(wc -l < log) * 2 ))
printf '%s\n' "$@" | wc -l
g() { local v=1; echo $v; }; v=2; g; echo $v
[ 1 -lt 2 ] && { echo in; } || echo out
echo 'single'"double"plain
:; echo $?
nosuchcommand 2>/dev/null; echo $?
cat /dev/null; echo $?
yes | head -2
"""

PROCESSES = r"""
trap 'echo bye' EXIT; echo hi
trap 'echo bye $?; exit 9' EXIT; false
(trap 'echo in' EXIT; echo sub); echo out
trap 'echo t' TERM; kill $$; echo after
trap 'echo t' TERM INT; kill -INT $$; kill -s TERM $$; kill -15 $$; echo $?
trap 'echo t; exit 4' TERM; kill -TERM $$; echo never
trap '' TERM; kill $$; echo alive
trap '' TERM; sh -c 'kill $$; echo alive'
trap 'echo t' TERM; sh -c 'kill $$; echo never'; echo $?
trap 'echo t' TERM; trap - TERM; kill $$; echo never
trap 'echo u' USR1; kill -USR1 $$; trap; trap USR1; trap
kill $$; echo never
sleep 100 & kill $!; wait $!; echo $?
sleep 100 & kill -9 $!; wait $!; echo $?
sleep 100 & kill -INT $! 2>/dev/null; kill $!; wait; echo $?
trap 'echo t' TERM; (sleep 1; kill $$) & wait $!; echo $?
trap 'echo t' TERM; sleep 1 & p=$!; (kill -TERM $$); wait $p; echo $?
trap 'echo t' TERM; (sleep 0.2; kill $$) & while true; do sleep 0.1; n=$((n+1)); [ $n -gt 5 ] && break; done; echo done
(exit 3) & wait $!; echo $?
sleep 0 & wait; echo $?
kill -0 $$ && echo alive; kill -0 99999999 2>/dev/null || echo gone
kill -FOO 1 2>&1; echo $?
kill 2>&1; echo $?
trap x FOO 2>&1; echo $?
f() { kill $$; echo f; }; trap 'echo t' TERM; f; echo g
timeout 1 sh -c 'trap "echo t; exit" TERM; sleep 0.1; echo a'
sh -c 'kill $PPID'; echo never
x=$(trap 'echo in' EXIT; echo a); echo "$x"
sh -c 'exec sh -c "echo \$0"' name
exec echo replaced; echo never
set -e; trap 'echo bye' EXIT; false; echo never
time true 2>/dev/null; echo $?
killall nosuchprogram 2>&1; echo $?
"""
DESCRIPTORS = r"""
exec 3>f; echo x >&3; echo y >&3; exec 3>&-; cat f
exec 3>f; exec 3>&-; echo y >&3; echo $?
exec 4<words; read a <&4; read b <&4; echo "$a|$b"
exec 5<log; while read -r when level rest <&5; do echo $level; done; exec 5<&-
echo a 5>f >&5; cat f
{ echo out; echo err >&2; } 3>&1 1>&2 2>&3 | sed 's/^/|/'
exec >f; echo hidden; exec >&2; cat f
exec 2>f; nosuchprogram; exec 2>&1; grep -c 'not found' f
exec 3>&1; x=$(echo in; echo through >&3); echo "x=$x"
exec 3>>f; echo a >&3; echo b >>f; echo c >&3; cat f
f() { exec 3>g; }; f; echo z >&3; cat g
eval 'exec 3>g'; echo z >&3; cat g
(exec 3>g; echo s >&3); echo t >&3; echo $?; cat g
while read a; do echo "got $a"; done 3<log <words
read x 0<words; echo $x
cat <&9; echo $?
echo a >&-; echo $?
cat 0<&- ; echo $?
ls nosuch 2>&1 >/dev/null | wc -l
readonly A=1; A=2; echo never
readonly A=1; readonly B; B=2; echo never
readonly A=1; unset A; echo never
readonly A='a b'; readonly | grep A; echo $A
A=1; readonly A; (A=2; echo never); echo $? $A
readonly A=1; for A in 2; do echo $A; done; echo never
read -r -n 3 x <words; echo "$x"
read -u 3 x 3<words; echo "$x"
"""
DOUBTFUL = r"""
cut -s -d: -f1 hosts; echo $?
cut -s -d: -f2 conf/deep/a.yaml
cut -s -d, -f1,3 people.csv words
cut -d: -f1 words
cut -s -f2 hosts
paste numbers words
paste words numbers nonl
paste -d: conf/empty numbers
paste -d',;' numbers words hosts
paste -s numbers words
paste - - <numbers
paste numbers - <words
awk 'BEGIN{print -3 % 2, 7/2, int(-3.7)}'
awk 'BEGIN{x["a"]; print length(x), ("a" in x)}'
awk 'BEGIN{printf "%d %i %o %e %g\n", "12abc", 3.9, 8, 12345.678, 0.0001}'
awk 'BEGIN{CONVFMT="%.2g"; a=3.14159; b=a ""; print b}'
awk 'BEGIN{OFMT="%.2f"; print 3.14159, 3}'
awk -v 'a=x\ty' 'BEGIN{print a}'
awk 'BEGIN{print length()}' </dev/null
awk 'BEGIN{print index("foo",""), match("x","y")}'
awk 'BEGIN { if (!(3 in a)) print "no"; for (k in a) print k }'
awk 'BEGIN{system("echo hi"); print system("exit 3")}'
awk '{ $5=""; print NF, $0 }' words
awk '{ NF=2; print }' words
awk 'BEGIN{$3="c"; print; print NF}'
awk -F '' '{print $1,$2}' nonl
awk -F. '{print $1}' conf/app.ini
awk -F'|' '{print NF}' log
awk 'BEGIN{printf "%s"}'
awk 'BEGIN{printf "%c%c", 65, "BCD"; print ""}'
awk 'BEGIN{print length 1}'
awk 'BEGIN{print !0 !1, - -1, 1 - -1, "a" > "/dev/stdout"}'
awk '/a/&&/b/' log words
awk 'END{print $0, NF}' words
awk 'NR==1{next}{print FILENAME, FNR}' numbers words
awk 'BEGIN{delete a; a[1]; delete a; print length(a)}'
awk '{a[NR]=$0}END{for(i=NR;i;i--)print a[i]}' numbers
dd if=log bs=10 count=2 2>/dev/null
dd if=log of=f bs=1k 2>/dev/null; wc -c f
dd if=log bs=10 count=3 of=/dev/null 2>&1 | head -2
dd if=/dev/zero bs=7 count=3 2>/dev/null | wc -c
printf abcdef >f; printf XY | dd of=f bs=1 seek=2 conv=notrunc 2>/dev/null; cat f
printf abcdef >f; printf XY | dd of=f bs=1 seek=2 2>/dev/null; cat f
dd if=words skip=1 bs=8 2>/dev/null
"""


def _lines(table: str) -> list[str]:
    found: list[str] = []
    for line in table.strip("\n").split("\n"):
        inside = found and re.search("<<'?EOF", found[-1]) and found[-1].split("\n")[-1] != "EOF"
        if inside:
            found[-1] += "\n" + line
        else:
            found.append(line)
    return found


TABLES = (AWK, TEXT, FILES, SHELL, PROCESSES, DESCRIPTORS, DOUBTFUL)


def here(command: str) -> Result:
    """The command in an emulated busybox container."""
    files = {f"/w/{name}": text.encode() for name, text in TREE.items()}

    async def scene(machine: Machine) -> Result:
        out, err = bytearray(), bytearray()
        process = machine.process(["sh", "-c", f"cd /w\n{command}"], BytesReader(b""), out, err)
        process.programs, process.processes = dict(BUSYBOX), PidNamespace(first=100)
        code = await run(process, BUSYBOX["sh"])
        return Result(code, out.decode(), err.decode())

    result: Result = Machine(files=files).play(scene)
    return result


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of busybox's applets."""
    folder = tmp_path_factory.mktemp("bin")
    assert BUSYBOX_PATH is not None
    subprocess.run([BUSYBOX_PATH, "--install", "-s", str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.skipif(BUSYBOX_PATH is None, reason="no busybox on this machine")
@pytest.mark.parametrize("command", [line for table in TABLES for line in _lines(table)])
def test_the_same_output_and_exit_code(command: str, tools: Path, tmp_path: Path) -> None:
    for name, text in TREE.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    real = subprocess.run(
        [str(tools / "sh"), "-c", command],
        cwd=tmp_path,
        env={"PATH": str(tools), "HOME": "/root"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what ignores it at its start cannot trap it
    )
    result = here(command)
    code = 128 - real.returncode if real.returncode < 0 else real.returncode
    assert (result.out, result.code) == (real.stdout.decode().replace(f"{tools}/", ""), code)
