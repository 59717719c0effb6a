# Serves the controller of the docs without the rest of Rails. `rackup` comes with rack, puma serves it.
require "logger" # before ActiveSupport 6.1, which uses it without loading it
require "action_controller"
require "active_support/logger"

require_relative "webhooks_controller"

run lambda { |env|
  is_route = env["REQUEST_METHOD"] == "POST" && env["PATH_INFO"] == "/webhooks"
  is_route ? WebhooksController.action(:create).call(env) : [404, {}, []]
}
