-- Delays the calls of one caller to an even rate: some pass at once, the others in turn, so that a thousand that come together form
-- no queue in which other callers would wait. A call whose turn is too far off is refused. Callers without a credential, or with one
-- that the server has not confirmed, are identified by their address. Each worker of Envoy counts by itself.
--
-- `pace.py` puts INTERVAL (milliseconds) and TOO_FAST (the headers of a refusal over gRPC) before this file.

local AT_ONCE, MAX_WAIT, MAX_CALLERS = 32, 2000, 10000 -- calls, milliseconds, callers
local DELAY = "x-envoy-fault-delay-request" -- read by the filter after this one

local turns, count = {}, 0 -- when the next call of each caller is due

local function caller_of(handle, headers)
  local data = handle:streamInfo():dynamicMetadata():get("admission")
  if data and data["known"] then return headers:get("authorization") end
  return handle:streamInfo():downstreamRemoteAddress():match("^(.*):%d+$")
end

-- Returns the milliseconds until the turn of this call; nil when that is too long.
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
  headers:remove(DELAY) -- a caller must not set it
  local wait = wait_for_turn(caller_of(handle, headers), tonumber(handle:timestamp()))
  if not wait then
    if (headers:get("content-type") or ""):find("application/grpc", 1, true) == 1 then return handle:respond(TOO_FAST, "") end
    handle:streamInfo():dynamicMetadata():set("stockward.edge", "reason", "CALLS_TOO_FAST")
    return handle:respond({ [":status"] = "429", ["retry-after"] = "1" }, "")
  end
  if wait > 0 then headers:add(DELAY, tostring(wait)) end
end
