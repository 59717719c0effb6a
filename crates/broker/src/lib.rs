//! RabbitMQ: the topology, wire formats, confirmed publisher and consumers
