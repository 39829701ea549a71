from program import Program, expect

SCRIPT = """
pragma journal_mode=off; pragma cache_size=-30000; pragma temp_store=memory;
create table item(id integer primary key, kind int, name text, body blob);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 150000)
  insert into item select i, (i * 7919) % 101, printf('name %d', (i * 104729) % 60013), zeroblob(i % 400) from n;
create index item_kind on item(kind, name);
update item set body = upper(hex(body)) || name where kind % 3 = 0;
delete from item where kind % 10 = 4;
create table summary as select kind, count(*) c, sum(length(body)) s, group_concat(name, ',') g from item group by kind;
select count(*) from (select distinct a.name || b.name from item a join item b on a.kind = b.kind and a.id < b.id
  where a.id % 50 = 0 and b.id % 60 = 1);
select length(json_group_array(json_object('n', name, 'b', hex(substr(body, 1, 200))))) from (select * from item limit 60000);
drop index item_kind;
select count(*), sum(s) from summary;
"""


class Measured(Program):
    title = "sqlite3, one connection: index, update, join, JSON"
    packages = ["sqlite3"]
    limit_mib = 128

    def run(self, box):
        with open(f"{self.work}/script", "w") as file:
            file.write(SCRIPT)
        with open(f"{self.work}/script") as file:
            got = box.run("sqlite3", ":memory:", stdin=file)
        expect("answers", got.split()[-1:], [b"91|36601385"])
