-- Refuses what the transcoder lets pass: a JSON body with a field that its message does not have, which it would drop
-- without a word, so that a mistyped name is an order without it; and an address that is not UTF-8, which the server cannot
-- read; and a parameter that would replace what stands in the path. Everything else that can be wrong is left to the transcoder. Headers that the server has no use for go no further.
--
-- It also holds callers to the budget for large bodies, see body_budget.lua.
--
-- FIELDS[message][name] is what the field holds: a message's name, "*" and a message's name for a map of them, or "" for
-- whatever needs no look inside. It stands in front of this file, as ALLOWED and the budget do.

-- A body is walked once, byte by byte, in constant memory but for the nesting: callers send it before anything is known of
-- them. So nothing is allocated for an element, plain bytes and plain `find` are used, which LuaJIT compiles, and the walk
-- ends at MAX_ELEMENTS, where the rest of the work (the transcoder's, the server's) would no longer be small either.
local MAX_DEPTH = 100
local MAX_ELEMENTS = 50000

local byte, find, sub = string.byte, string.find, string.sub
local QUOTE, BACKSLASH, COMMA, COLON = 34, 92, 44, 58
local OBJECT, OBJECT_END, LIST, LIST_END = 123, 125, 91, 93

-- The position of the next byte that is no blank; behind the text where there is none.
local function blank(text, at)
  local code = byte(text, at)
  while code == 32 or code == 10 or code == 13 or code == 9 do
    at = at + 1
    code = byte(text, at)
  end
  return at
end

-- The position behind the string that starts at `at`; nil where it does not end.
local function string_end(text, at)
  while true do
    at = find(text, '"', at + 1, true)
    if not at then return nil end
    local before = at - 1
    while byte(text, before) == BACKSLASH do before = before - 1 end
    if (at - before) % 2 == 1 then return at + 1 end
  end
end

-- The position behind a number, `true`, `false` or `null`; nil where there is none.
local function word_end(text, at)
  local from, code = at, byte(text, at)
  while code and (code >= 48 and code <= 57 or code >= 97 and code <= 122 or code >= 65 and code <= 90
    or code == 43 or code == 45 or code == 46) do
    at = at + 1
    code = byte(text, at)
  end
  return at > from and at or nil
end

local function unescaped(name)
  return (name:gsub("\\u00(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

local elements -- of the last body that was walked, as far as that went

-- What is wrong with a body of the type `message`: the path of an unknown field, or "" where it has too many elements; nil
-- where nothing is, or where it is no JSON, which the transcoder says better. Counts the elements.
local function fault(text, message)
  local closing, kinds, indexes, names = {}, {}, {}, {} -- by depth; a list has an index, an object the name of its field
  local depth, at, kind = 0, 1, message
  elements = 0

  local function path()
    local found = ""
    for level = 1, depth do
      if closing[level] == LIST_END then
        found = found .. "[" .. indexes[level] .. "]"
      else
        found = found .. (found == "" and "" or ".") .. names[level]
      end
    end
    return found
  end

  -- Reads the name and the colon of a field; sets the kind of its value. Returns its position, or nil and the fault.
  local function field(from)
    if byte(text, from) ~= QUOTE then return nil end
    local behind = string_end(text, from)
    if not behind then return nil end
    local name = sub(text, from + 1, behind - 2)
    local holds, fields = kinds[depth], FIELDS[kinds[depth]]
    names[depth] = name
    if fields then
      kind = fields[name]
      if not kind then
        names[depth] = unescaped(name)
        kind = fields[names[depth]]
        if not kind then return nil, path() end
      end
    else
      kind = byte(holds, 1) == 42 and sub(holds, 2) or ""
    end
    from = blank(text, behind)
    if byte(text, from) ~= COLON then return nil end
    return from + 1
  end

  while true do
    elements = elements + 1
    if elements > MAX_ELEMENTS then return "" end
    at = blank(text, at)
    local first, entered, wrong = byte(text, at), false, nil
    if first == QUOTE then
      at = string_end(text, at)
    elseif first == OBJECT or first == LIST then
      if depth == MAX_DEPTH then return nil end
      depth = depth + 1
      closing[depth], kinds[depth], indexes[depth] = first + 2, kind, 0
      at = blank(text, at + 1)
      entered = byte(text, at) ~= first + 2
      if entered and first == OBJECT then at, wrong = field(at) end
    else
      at = word_end(text, at)
    end
    if not at then return wrong end
    while not entered do
      if depth == 0 then return nil end
      at = blank(text, at)
      local after = byte(text, at)
      at = at + 1
      if after == closing[depth] then
        depth = depth - 1
      elseif after ~= COMMA then
        return nil
      else
        entered = true
        if closing[depth] == LIST_END then
          indexes[depth], kind = indexes[depth] + 1, kinds[depth]
        else
          at, wrong = field(blank(text, at))
          if not at then return wrong end
        end
      end
    end
  end
end

-- Byte sequences of UTF-8 beyond ASCII.
local SEQUENCES = {
  "[\194-\223][\128-\191]",
  "\224[\160-\191][\128-\191]", "[\225-\236\238\239][\128-\191][\128-\191]", "\237[\128-\159][\128-\191]",
  "\240[\144-\191][\128-\191][\128-\191]", "[\241-\243][\128-\191][\128-\191][\128-\191]",
  "\244[\128-\143][\128-\191][\128-\191]",
}

local function decoded(text)
  return (text:gsub("%%(%x%x)", function(code) return string.char(tonumber(code, 16)) end))
end

-- The name of a parameter that stands in the path as well, where the transcoder would let it win; nil where there is none.
-- `bound` holds the names of the path, as JSON spells them, with blanks between.
local function bound_parameter(address, bound)
  local query = bound ~= "" and address:match("%?(.*)")
  if not query then return nil end
  for parameter in query:gmatch("[^&]+") do
    local name = decoded(parameter:match("^[^=]*"):gsub("%+", " "))
    local spelled = name:gsub("_(.)", string.upper)
    if (" " .. bound .. " "):find(" " .. spelled .. " ", 1, true) then return name end
  end
end

local function is_utf8(address)
  local text = decoded(address)
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

-- Refuses a body whose caller has to wait for so many milliseconds.
local function is_refused(handle, wait)
  if wait == 0 then return false end
  handle:streamInfo():dynamicMetadata():set("stockward.edge", "reason", "BODY_BUDGET_SPENT")
  handle:respond({ [":status"] = "429", ["retry-after"] = tostring(math.ceil(wait / 1000)) }, "")
  return true
end

function envoy_on_request(handle)
  drop_others(handle:headers())
  local address = handle:headers():get(":path")
  if not is_utf8(address) then
    return handle:respond({ [":status"] = "400" }, "the address is not UTF-8")
  end
  local twice = bound_parameter(address, handle:metadata():get("bound"))
  if twice then
    return handle:respond({ [":status"] = "400" }, twice .. " stands in the path and cannot be a parameter as well")
  end
  local message = handle:metadata():get("message")
  if message == "" then return end
  local body = handle:body()
  if not body then return end
  if body:length() > handle:metadata():get("most") then -- what came while the server was asked was not counted
    return handle:respond({ [":status"] = "413" }, "")
  end
  local credential, now = handle:headers():get("authorization") or "", tonumber(handle:timestamp())
  if is_refused(handle, wait_for_credit(credential, now, body:length())) then return end
  local text = body:getBytes(0, body:length())
  local found = fault(text, message)
  if found == "" then return handle:respond({ [":status"] = "413" }, "the body has too many elements") end
  if found then
    handle:streamInfo():dynamicMetadata():set("stockward.edge", "field", found:sub(1, 200))
    return handle:respond({ [":status"] = "400" }, "there is no such field")
  end
  is_refused(handle, wait_for_credit(credential, now, #text, elements))
end

-- What the transcoder says, in words: it speaks of protobuf's types. ALLOWED says what a type takes. The text is that of a
-- JSON string, with its escapes.
local function in_words(said)
  if said == ": Root element must be a message." then return "the body must be an object" end
  local path, name = said:match("^(.-): invalid value Starting an object on a scalar field for type ([%w_]+)$")
  if path then return path .. (path == "" and "" or ".") .. name .. ": must not be an object" end
  path, name = said:match("^(.-): invalid value oneof field '.-' is already set%. Cannot set '(.-)' for type oneof$")
  if path then return path .. (path == "" and "" or ".") .. name .. ": another field is given that excludes it" end
  local at, value, kind = said:match("^(.-): invalid value (.*) for type ([%w_./]+)$")
  kind = kind and kind:gsub("^type%.googleapis%.com/", "")
  if kind and ALLOWED[kind] then
    return at .. ": must be " .. ALLOWED[kind] .. (find(kind, "google.", 1, true) and "" or ", not " .. value)
  end
  name = said:match('^Could not find field \\"(.-)\\" in the type ')
  if name then return name .. ": there is no such parameter" end
  name = said:match('^Encountered a non%-leaf field \\"(.-)\\" that is not a message')
  if name then return name .. ": there is nothing in it that a parameter could set" end
  local wrong = said:match("^(.-)%.\\n.*%^$")
  return wrong and "the body is not JSON: " .. wrong or said
end

-- Longer answers of the transcoder stay as they are: they have the caller's own text in them, megabytes perhaps.
local MAX_SAID = 2048

-- The server names the status where no gRPC code has it. The headers are asked for anew behind `body`, which may wait.
function envoy_on_response(handle)
  local status = handle:headers():get("x-http-status")
  if status then
    handle:headers():replace(":status", status)
    handle:headers():remove("x-http-status")
    return
  end
  if handle:headers():get(":status") ~= "400" then return end
  local body = handle:body()
  local reply = body and body:length() <= MAX_SAID and body:getBytes(0, body:length()) or ""
  local before, said, after = reply:match('^(.*"domain":"stockward%.edge".*"message":")(.*)("}%s*)$')
  if before then
    handle:headers():replace("content-length", tostring(body:setBytes(before .. in_words(said) .. after)))
  end
end
