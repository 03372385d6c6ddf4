-- Lets the calls of one caller through at an even pace: some at once, and the others in turn, so that a thousand which come together
-- are no queue before the servers in which everybody else would wait. A call whose turn is far off is refused. Callers whose credential is
-- not known to be good, or who have none, are told apart by their address. Each worker of Envoy has a count of its own.
--
-- INTERVAL (milliseconds), and TOO_FAST (the headers of a refusal over gRPC) stand in front of this file.

local AT_ONCE, MAX_WAIT, MAX_CALLERS = 32, 2000, 10000 -- calls, milliseconds, callers
local DELAY = "x-envoy-fault-delay-request" -- what the filter behind this one obeys

local turns, count = {}, 0 -- when the next call of each caller is due

local function caller_of(handle, headers)
  local data = handle:streamInfo():dynamicMetadata():get("admission")
  if data and data["known"] then return headers:get("authorization") end
  return handle:streamInfo():downstreamRemoteAddress():match("^(.*):%d+$")
end

-- The milliseconds until it is this call's turn; nil where that is too long.
local function wait_for_turn(caller, now)
  local turn = turns[caller]
  if not turn then
    if count == MAX_CALLERS then turns, count = {}, 0 end
    count = count + 1
  end
  local latest = now + MAX_WAIT + (AT_ONCE - 1) * INTERVAL
  if not turn or turn < now or turn > latest + INTERVAL then turn = now end -- the clock may have been set back
  if turn > latest then return nil end
  turns[caller] = turn + INTERVAL
  return math.floor(turn - now - (AT_ONCE - 1) * INTERVAL)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  headers:remove(DELAY) -- nobody else decides
  local wait = wait_for_turn(caller_of(handle, headers), tonumber(handle:timestamp()))
  if not wait then
    if (headers:get("content-type") or ""):find("application/grpc", 1, true) == 1 then return handle:respond(TOO_FAST, "") end
    handle:streamInfo():dynamicMetadata():set("stockward.edge", "reason", "CALLS_TOO_FAST")
    return handle:respond({ [":status"] = "429", ["retry-after"] = "1" }, "")
  end
  if wait > 0 then headers:add(DELAY, tostring(wait)) end
end
