-- Asks the server about a caller before a large body of an unknown one is read: with a call of the same method without a
-- message, which the server admits, or refuses, by its headers. Nothing else can come of that. A body that says that it is
-- too large is refused in any case.

local SMALL, TIMEOUT, TRIES = 65536, 5000, 4 -- bytes, milliseconds, as often as any other call is tried

function envoy_on_request(handle)
  local headers, route = handle:headers(), handle:metadata()
  local length, most = tonumber(headers:get("content-length") or ""), route:get("most")
  if length and most and length > most then return handle:respond({ [":status"] = "413" }, "") end
  local method = route:get("method")
  if not method or length and length <= SMALL then return end
  local data = handle:streamInfo():dynamicMetadata():get("admission")
  if data and data["known"] then return end
  local question = {
    [":method"] = "POST",
    [":path"] = method,
    [":authority"] = "edge",
    ["content-type"] = "application/grpc",
    ["te"] = "trailers",
    ["authorization"] = headers:get("authorization"),
  }
  for _ = 1, TRIES do
    local answer = handle:httpCall("stockward", question, nil, TIMEOUT)
    local code = answer["grpc-status"]
    if code == "16" then return handle:respond({ [":status"] = "401" }, "") end
    if code ~= "14" and answer[":status"] == "200" then return end
  end
  handle:respond({ [":status"] = "503" }, "")
end
