-- Counts refused credentials, so that made-up ones are no way around the limit of requests without one. While many are refused,
-- requests whose credential no call has succeeded with lately are counted as if they had none. Each worker of Envoy has a count
-- of its own. MANY stands in front of this file.

local WINDOW, PERIOD, MOST, LONGEST = 10, 60, 10000, 4096 -- seconds, seconds, credentials, bytes

local recent, former, known, period = {}, {}, 0, 0 -- credentials that are good, and when `recent` was begun
local refused, window, flood_end = 0, 0, 0

local function pass(now)
  local passed = now - period
  if passed < PERIOD and known < MOST then return end
  former = passed < 2 * PERIOD and recent or {}
  recent, known, period = {}, 0, now
end

local function note_refusal(credential, now)
  recent[credential], former[credential] = nil, nil
  if now - window >= WINDOW then refused, window = 0, now end
  refused = refused + 1
  if refused > MANY then flood_end = now + WINDOW end
end

function envoy_on_request(handle)
  local credential = handle:headers():get("authorization")
  local data = handle:streamInfo():dynamicMetadata()
  if not credential then return data:set("admission", "kind", "keyless") end
  local now = os.time()
  pass(now)
  if recent[credential] or former[credential] then
    data:set("admission", "known", true)
  elseif now < flood_end then
    data:set("admission", "kind", "keyless")
  end
  if handle:metadata():get("keyed") and #credential <= LONGEST then data:set("admission", "credential", credential) end
end

function envoy_on_response(handle)
  local data = handle:streamInfo():dynamicMetadata():get("admission")
  local credential = data and data["credential"]
  if not credential then return end
  local headers = handle:headers()
  local status, code = headers:get(":status"), headers:get("grpc-status")
  if status == "401" or code == "16" then
    note_refusal(credential, os.time())
  elseif status == "200" and (not code or code == "0") and not recent[credential] then
    recent[credential], known = true, known + 1
  end
end
