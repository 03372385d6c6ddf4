-- Refuses what the transcoder lets pass: a JSON body with a field that its message does not have, which it would drop
-- without a word, so that a mistyped name is an order without it; and an address that is not UTF-8, which the server cannot
-- read. Everything else that can be wrong is left to the transcoder. Headers that the server has no use for go no further.
--
-- FIELDS[message][name] is what the field holds: a message's name, "*" and a message's name for a map of them, or "" for
-- whatever needs no look inside. It stands in front of this file.

local DEEPEST = 100

local function blank(text, at)
  return text:find("[^ \t\r\n]", at) or #text + 1
end

-- The position behind the string that starts at `at`; nil where it does not end.
local function string_end(text, at)
  at = at + 1
  while true do
    local found = text:find('["\\]', at)
    if not found then return nil end
    if text:byte(found) == 34 then return found + 1 end
    at = found + 2
  end
end

local function unescaped(name)
  return (name:gsub("\\u00(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

-- The position behind the value at `at`, or nil where it is no JSON. Raises a table that names an unknown field.
local function value(text, at, kind, path, depth)
  at = blank(text, at)
  local first = text:sub(at, at)
  if first == '"' then return string_end(text, at) end
  if first ~= "{" and first ~= "[" then
    local _, last = text:find("^[%w.+-]+", at)
    return last and last + 1
  end
  if depth > DEEPEST then return nil end
  local close = first == "{" and "}" or "]"
  local fields = first == "{" and FIELDS[kind]
  local index = 0
  at = blank(text, at + 1)
  if text:sub(at, at) == close then return at + 1 end
  while true do
    local inside, here = kind, path
    if first == "[" then
      here = path .. "[" .. index .. "]"
    else
      at = blank(text, at)
      if text:sub(at, at) ~= '"' then return nil end
      local behind = string_end(text, at)
      if not behind then return nil end
      local name = unescaped(text:sub(at + 1, behind - 2))
      here = path == "" and name or path .. "." .. name
      if fields then
        inside = fields[name]
        if not inside then error({ unknown = here }) end
      else
        inside = kind:sub(1, 1) == "*" and kind:sub(2) or ""
      end
      at = blank(text, behind)
      if text:sub(at, at) ~= ":" then return nil end
      at = at + 1
    end
    at = value(text, at, inside, here, depth + 1)
    if not at then return nil end
    at = blank(text, at)
    local after = text:sub(at, at)
    if after == close then return at + 1 end
    if after ~= "," then return nil end
    at = at + 1
    index = index + 1
  end
end

-- Byte sequences of UTF-8 beyond ASCII.
local SEQUENCES = {
  "[\194-\223][\128-\191]",
  "\224[\160-\191][\128-\191]", "[\225-\236\238\239][\128-\191][\128-\191]", "\237[\128-\159][\128-\191]",
  "\240[\144-\191][\128-\191][\128-\191]", "[\241-\243][\128-\191][\128-\191][\128-\191]",
  "\244[\128-\143][\128-\191][\128-\191]",
}

local function is_utf8(address)
  local text = address:gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end)
  for _, sequence in ipairs(SEQUENCES) do text = text:gsub(sequence, "-") end
  return not text:find("[\128-\255]")
end

-- Headers that the server may see of a REST call. It takes fewer characters in a name, and less in all, than HTTP does.
local PASSED = {
  ["authorization"] = true, ["content-type"] = true, ["content-length"] = true, ["transfer-encoding"] = true,
  ["user-agent"] = true, ["x-forwarded-for"] = true, ["x-forwarded-proto"] = true, ["x-request-id"] = true,
  ["traceparent"] = true, ["tracestate"] = true,
  ["webhook-id"] = true, ["webhook-timestamp"] = true, ["webhook-signature"] = true, ["stripe-signature"] = true,
}

local function drop_others(headers)
  local others = {}
  for name in pairs(headers) do
    if name:sub(1, 1) ~= ":" and not PASSED[name] then others[#others + 1] = name end
  end
  for _, name in ipairs(others) do headers:remove(name) end
end

function envoy_on_request(handle)
  drop_others(handle:headers())
  if not is_utf8(handle:headers():get(":path")) then
    return handle:respond({ [":status"] = "400" }, "the address is not UTF-8")
  end
  local message = handle:metadata():get("message")
  if message == "" then return end
  local body = handle:body()
  if not body then return end
  local text = body:getBytes(0, body:length())
  local fine, found = pcall(value, text, 1, message, "", 1)
  if fine or type(found) ~= "table" then return end
  handle:streamInfo():dynamicMetadata():set("stockward.edge", "field", found.unknown:sub(1, 200))
  handle:respond({ [":status"] = "400" }, "there is no such field")
end

-- The server names the status where no gRPC code has it.
function envoy_on_response(handle)
  local status = handle:headers():get("x-http-status")
  if not status then return end
  handle:headers():replace(":status", status)
  handle:headers():remove("x-http-status")
end
