# app/controllers/webhooks_controller.rb
#
# bundle add standardwebhooks
# config/routes.rb:  post "/webhooks", to: "webhooks#create"
require "standardwebhooks"

class WebhooksController < ActionController::API
  SECRET = ENV["WEBHOOK_SECRET"].to_s # whsec_…
  raise "Set WEBHOOK_SECRET to the secret of the webhook." if SECRET.empty?

  WEBHOOK = StandardWebhooks::Webhook.new(SECRET)
  HEADERS = %w[webhook-id webhook-timestamp webhook-signature].freeze

  def create
    headers = HEADERS.to_h { |name| [name, request.headers[name]] }
    event = WEBHOOK.verify(request.raw_post, headers) # the raw body, not params
    save(event) # fast, because Postrider waits 15 seconds at most
    head :no_content
  rescue StandardWebhooks::StandardWebhooksError
    render plain: "the signature is not valid\n", status: :bad_request
  end

  private

  def save(event)
    # In production: Event.insert_all([{ id: event["id"], … }]), which skips an id that exists. If the event is new, enqueue
    # a job that does your own work.
    logger&.info("#{event["type"]} #{event["id"]}") # event["data"] may be personal, so it is not logged
  end
end
