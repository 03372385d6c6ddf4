-- Functions that take arrays have one plan for all calls.
-- depends: 0032_order_lists

-- migrate: apply
-- A plan for the arrays of one call knows their length, so it looks cheaper than the one for any call, and PostgreSQL would make it
-- again for each: claim_lanes took four times as long for it.
ALTER FUNCTION claim_lanes SET plan_cache_mode = 'force_generic_plan';
ALTER FUNCTION record_deliveries SET plan_cache_mode = 'force_generic_plan';
ALTER FUNCTION lock_remembered SET plan_cache_mode = 'force_generic_plan';
ALTER FUNCTION lock_holders SET plan_cache_mode = 'force_generic_plan';
ALTER FUNCTION lock_buyers SET plan_cache_mode = 'force_generic_plan';

-- migrate: rollback
ALTER FUNCTION lock_buyers RESET plan_cache_mode;
ALTER FUNCTION lock_holders RESET plan_cache_mode;
ALTER FUNCTION lock_remembered RESET plan_cache_mode;
ALTER FUNCTION record_deliveries RESET plan_cache_mode;
ALTER FUNCTION claim_lanes RESET plan_cache_mode;
