-- wrk script: validations of one or more cards over HTTP.
--   CARDS="id id …" TENANT=acme TOKEN=… wrk -t1 -c64 -d10s -s bench/validate.lua --latency http://127.0.0.1:8080
-- Every answer is checked: one that does not say "valid" counts as wrong, and the run says so at its end.
local cards = {}
for id in os.getenv("CARDS"):gmatch("%S+") do cards[#cards + 1] = id end
local tenant = os.getenv("TENANT")
local threads = {}
local count = 0

function setup(thread)
  threads[#threads + 1] = thread
end

function init(arguments)
  wrong = 0
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
  wrk.body = '{"gate":"north"}'
end

function request()
  count = count + 1
  return wrk.format(nil, "/" .. tenant .. "/mapi/v1/cards/" .. cards[count % #cards + 1] .. "/validate")
end

function response(status, headers, body)
  if status ~= 200 or not body:find('"result":"valid"', 1, true) then wrong = wrong + 1 end
end

function done(summary, latency, requests)
  local wrong_answers = 0
  for _, thread in ipairs(threads) do wrong_answers = wrong_answers + thread:get("wrong") end
  print(string.format("rate %.0f/s  p50 %.2f ms  p99 %.2f ms  max %.2f ms  wrong %d", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000, wrong_answers))
end
