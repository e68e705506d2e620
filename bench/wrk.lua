-- Every request carries the next of the tokens in the file named by TOKENS.
local requests, at = {}, 0
init = function()
  for token in io.lines(os.getenv("TOKENS")) do
    requests[#requests + 1] = wrk.format("GET", "/api/items/" .. #requests % 100, {
      ["Host"] = "api.example", ["Authorization"] = "Bearer " .. token, ["Accept"] = "application/json",
    })
  end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
