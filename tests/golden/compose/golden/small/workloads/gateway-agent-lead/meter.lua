-- Tells the keeper what a model's answer used, while the answer passes; nothing is held back.
local KEPT_MAX = 1048576
function envoy_on_request(handle)
  local id = handle:headers():get("x-seawall-reservation")
  if id == nil then return end
  handle:headers():remove("x-seawall-reservation")
  handle:headers():remove("accept-encoding")
  handle:streamInfo():dynamicMetadata():set("seawall", "reservation", id)
end
function envoy_on_response(handle)
  local known = handle:streamInfo():dynamicMetadata():get("seawall")
  if known == nil then return end
  local said, size, rest = {}, 0, ""
  local events = string.find(handle:headers():get("content-type") or "", "event-stream", 1, true)
  local provider = handle:headers():get("x-envoy-upstream-service-time") ~= nil
  local status = handle:headers():get(":status")
  local function keep(text)
    size = size + #text
    if size <= KEPT_MAX then said[#said + 1] = text end
  end
  for chunk in handle:bodyChunks() do
    local text = chunk:getBytes(0, chunk:length())
    if not events then
      keep(text)
    else
      text = rest .. text
      local from = 1
      while true do
        local stop = string.find(text, "\n", from, true)
        if stop == nil then break end
        local line = string.sub(text, from, stop)
        if string.find(line, '"usage"', 1, true) then
          if #said > 1 then size = size - #said[2]; said[2] = nil end
          keep(line)
        end
        from = stop + 1
      end
      rest = string.sub(text, from)
      if #rest > KEPT_MAX then rest = "" end
    end
  end
  if events and string.find(rest, '"usage"', 1, true) then keep(rest) end
  local body = size <= KEPT_MAX and table.concat(said) or ""
  handle:httpCall("keeper", {[":method"] = "POST", [":path"] = "/gateway/settle",
    [":authority"] = "keeper", ["x-seawall-reservation"] = known["reservation"],
    ["x-seawall-status"] = status, ["x-seawall-source"] = provider and "provider" or "gateway"},
    body, 5000, true)
end
