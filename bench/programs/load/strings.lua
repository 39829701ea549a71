-- One thread that lives by realloc: builds tables of strings, joins and drops them; small results stay.
local kept = {}
for round = 1, 10 do
  local parts, longest = {}, 40 + 37 * (round % 5)
  for i = 1, 260000 + 60000 * (round % 4) do parts[i] = string.rep("a", (i * 7919 + round) % longest) .. i end
  local text = table.concat(parts, ",")
  parts = nil
  collectgarbage()
  local words = {}
  for word in text:sub(1, 6000000):gmatch("[^,]+") do words[#words + 1] = word:upper() end
  assert(#words > 20000)
  kept[round] = { text:sub(1, 50000), #text, #words }
  text, words = nil, nil
  collectgarbage()
end
print(#kept)
