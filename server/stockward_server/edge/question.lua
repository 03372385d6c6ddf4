-- Refuses callers before the server, or more than the headers of a request, is bothered with them:
--
-- * A gRPC call that needs a credential and has none gets the server's refusal, which stands in NO_CREDENTIAL in front of this file.
-- * Before a large body of an unknown caller is read, the server is asked about the caller: with a call of the same method
--   without a message, which the server admits, or refuses, by its headers. Nothing else can come of that.
-- * A body that says that it is too large is refused in any case.

local SMALL, TIMEOUT, TRIES = 8192, 5000, 4 -- bytes, milliseconds, as often as any other call is tried

function envoy_on_request(handle)
  local headers, route = handle:headers(), handle:metadata()
  local credential = headers:get("authorization")
  if not credential and route:get("keyed_grpc") then
    return handle:respond(NO_CREDENTIAL, "")
  end
  local length, most = tonumber(headers:get("content-length") or ""), route:get("most")
  if length and most and length > most then return handle:respond({ [":status"] = "413" }, "") end
  local method = route:get("method")
  if not method or length and length <= SMALL then return end
  if not credential then return handle:respond({ [":status"] = "401" }, "") end
  local data = handle:streamInfo():dynamicMetadata():get("admission")
  if data and data["known"] then return end
  local question = {
    [":method"] = "POST",
    [":path"] = method,
    [":authority"] = "edge",
    ["content-type"] = "application/grpc",
    ["te"] = "trailers",
    ["authorization"] = credential,
  }
  for _ = 1, TRIES do
    local answer = handle:httpCall("stockward", question, nil, TIMEOUT)
    local code = answer["grpc-status"]
    if code == "16" then return handle:respond({ [":status"] = "401" }, "") end
    if code ~= "14" and answer[":status"] == "200" then return end
  end
  handle:respond({ [":status"] = "503" }, "")
end
