-- wrk's script: each request is a transfer of one cent under a key of its own, between accounts drawn at random.
-- Arguments: FILE (a line "token account" for each account) and how to draw: uniform | hot_sender | hot_receiver.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  math.randomseed(os.time() * 1000 + number)
  prefix = string.format("%d-%d-%d-", os.time(), math.random(1, 2 ^ 30), number)
  count, tokens, sources, draw = 0, {}, {}, args[2]
  for line in io.lines(args[1]) do
    local token, source = line:match("^(%S+) (%S+)$")
    tokens[#tokens + 1], sources[#sources + 1] = token, source
  end
end

function request()
  count = count + 1
  local from, to = math.random(2, #sources), math.random(2, #sources)
  if draw == "hot_sender" then from = 1 end
  if draw == "hot_receiver" then to = 1 end
  if to == from then to = from % #sources + 1 end
  local body = '{"source":"' .. sources[from] .. '","destination":"' .. sources[to] .. '","amount":1,"currency":"EUR"}'
  local headers = {
    ["Content-Type"] = "application/json",
    ["X-Session-Token"] = tokens[from],
    ["Idempotency-Key"] = prefix .. count,
  }
  return wrk.format("POST", "/api/v1/transfers", headers, body)
end

function done(summary, latency, requests)
  local refused = summary.errors.status
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("FIGURES %d %d %d %d\n", summary.requests, summary.duration, refused, broken))
end
