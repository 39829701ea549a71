<?php
/* Sets of strings whose sizes change from one to the next, then work of extensions and of the engine
 * on much data. What is printed is the same with any malloc. */
$sizes = [500, 3000, 20000, 9000];
for ($round = 0; $round < 12; $round++) {
    $kept = [];
    $size = $sizes[$round % 4];
    for ($i = 0; $i < 60000000 / $size; $i++)
        $kept[] = str_repeat(chr(97 + $i % 26), $size - $i % ($size >> 2));
    printf("%d strings, %s\n", count($kept), md5($kept[$round] . $kept[count($kept) - 1]));
}
$kept = [];

$rows = [];
for ($i = 0; $i < 20000; $i++)
    $rows["key " . ($i * 7919) % 20011] = ["n" => $i, "text" => md5((string)$i), "list" => range(0, $i % 9)];
ksort($rows);
$json = json_encode($rows);
printf("%s %s\n", md5($json), md5(serialize(json_decode($json, true))));
printf("%d words\n", preg_match_all('/\b[a-f]+\d+/', $json, $found));
printf("%d of %d\n", strlen(implode(",", array_unique($found[0]))), count($found[0]));
usort($rows, fn($a, $b) => strcmp($a["text"], $b["text"]));
printf("%s\n", $rows[0]["text"]);
printf("%s\n", implode(" ", array_filter(["PDO", "ctype", "iconv", "posix", "tokenizer"], "extension_loaded")));
printf("%s\n", iconv("UTF-8", "UTF-16BE//IGNORE", "gr\u{fc}n") === false ? "no iconv" : "iconv");
