local function wait_for_credit() return 0 end
