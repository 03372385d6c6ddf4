-- Limits the part of a worker's time that the JSON bodies of one caller take: the transcoder parses each in one go, and meanwhile the
-- worker serves no other call. A caller with credit may send any body and pays for it afterwards, so large ones pass one at a time. The
-- prices are those of the most expensive bodies, which are full of small elements. Each worker of Envoy has its own accounts.
-- The configuration puts SHARE, the part of a worker's time, before this file.

local BYTES_PER_MS, ELEMENTS_PER_MS = 110000, 650
local FREE_MS = 0.5 -- a body that costs less is not counted
local MAX_CREDIT_MS, MAX_ACCOUNTS = 40, 10000

local accounts, count = {}, 0

local function account_of(credential, now)
  local account = accounts[credential]
  if not account then
    if count == MAX_ACCOUNTS then accounts, count = {}, 0 end
    account, count = { credit = MAX_CREDIT_MS, at = now }, count + 1
    accounts[credential] = account
  end
  account.credit = math.min(MAX_CREDIT_MS, account.credit + SHARE * math.max(0, now - account.at))
  account.at = now
  return account
end

-- Returns the milliseconds after which the caller may send such a body; 0 for now, which charges it. Without `elements` only its
-- bytes count, and nothing is charged.
local function wait_for_credit(credential, now, bytes, elements)
  local cost = bytes / BYTES_PER_MS + (elements or 0) / ELEMENTS_PER_MS
  if cost < FREE_MS then return 0 end
  local account = account_of(credential, now)
  if account.credit <= 0 then return 1 - account.credit / SHARE end
  if elements then account.credit = account.credit - cost end
  return 0
end
