// The yardsticks of digitalcard-bench actors on CAF, as its own examples and benchmarks are written:
// event-based actors, statically built behaviors, anonymous sends where nobody needs the sender.
// Each returns its result, which the script compares, and prints
//   name elapsed_us result
// Usage: caf-actors NAME COUNT [THREADS]
#include "caf/all.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

using namespace caf;
using number = int64_t;
using token_atom = atom_constant<atom("token")>;
using next_atom = atom_constant<atom("next")>;

namespace {

// --- skynet ---

struct sum_state {
  number sum = 0;
  int waiting = 0;
};

behavior skynet(stateful_actor<sum_state> *self, actor parent, number first, number size) {
  if (size == 1) {
    self->send(parent, first);
    return {};
  }
  const number below = size / 10;
  self->state.waiting = 10;
  const auto own = actor_cast<actor>(self);
  for (number child = 0; child < 10; ++child) {
    self->spawn(skynet, own, first + child * below, below);
  }
  return {[=](number part) {
    self->state.sum += part;
    if (--self->state.waiting == 0) {
      self->send(parent, self->state.sum);
      self->quit();
    }
  }};
}

number run_skynet(actor_system &system, number count) {
  scoped_actor self{system};
  system.spawn(skynet, actor_cast<actor>(self), number{0}, count);
  number result = -1;
  self->receive([&](number sum) { result = sum; });
  return result;
}

// --- senders ---

behavior receiver(stateful_actor<sum_state> *self, actor main, number messages) {
  auto left = messages;
  return {[=](number value) mutable {
    self->state.sum += value;
    if (--left == 0) {
      self->send(main, self->state.sum);
      self->quit();
    }
  }};
}

void sender(event_based_actor *self, actor to, number count) {
  for (number value = 1; value <= count; ++value) {
    self->send(to, value);
  }
}

number run_senders(actor_system &system, number count) {
  const number senders = 20;
  scoped_actor self{system};
  auto to = system.spawn(receiver, actor_cast<actor>(self), senders * count);
  for (number index = 0; index < senders; ++index) {
    system.spawn(sender, to, count);
  }
  number result = -1;
  self->receive([&](number sum) { result = sum; });
  return result;
}

// --- create ---

behavior node(stateful_actor<sum_state> *self, actor parent, number depth) {
  if (depth == 0) {
    self->send(parent, number{1});
    return {};
  }
  self->state.waiting = 2;
  const auto own = actor_cast<actor>(self);
  self->spawn(node, own, depth - 1);
  self->spawn(node, own, depth - 1);
  return {[=](number part) {
    self->state.sum += part;
    if (--self->state.waiting == 0) {
      self->send(parent, self->state.sum + 1);
      self->quit();
    }
  }};
}

number run_create(actor_system &system, number depth) {
  scoped_actor self{system};
  system.spawn(node, actor_cast<actor>(self), depth);
  number result = -1;
  self->receive([&](number nodes) { result = nodes; });
  return result;
}

// --- pingpong ---

behavior pong(event_based_actor *) {
  return {[](number value) { return value + 1; }};
}

behavior ping(event_based_actor *self, actor other, actor main, number count) {
  self->send(other, number{0});
  return {[=](number value) {
    if (value == count) {
      self->send(main, value);
      self->quit();
    } else {
      self->send(other, value);
    }
  }};
}

number run_pingpong(actor_system &system, number count) {
  scoped_actor self{system};
  auto other = system.spawn(pong);
  system.spawn(ping, other, actor_cast<actor>(self), count);
  number result = -1;
  self->receive([&](number rounds) { result = rounds; });
  anon_send_exit(other, exit_reason::user_shutdown);
  return result;
}

// --- ring ---

struct member_state {
  actor next;
};

behavior member(stateful_actor<member_state> *self, number index, actor main) {
  return {
      [=](next_atom, const actor &next) { self->state.next = next; },
      [=](token_atom, number left) {
        if (left == 0) {
          self->send(main, index);
        } else {
          self->send(self->state.next, token_atom::value, left - 1);
        }
      },
  };
}

number run_ring(actor_system &system, number count) {
  const number actors = 100;
  scoped_actor self{system};
  std::vector<actor> members;
  for (number index = 0; index < actors; ++index) {
    members.push_back(system.spawn(member, index, actor_cast<actor>(self)));
  }
  for (size_t index = 0; index < members.size(); ++index) {
    self->send(members[index], next_atom::value, members[(index + 1) % members.size()]);
  }
  self->send(members[0], token_atom::value, actors * count);
  number result = -1;
  self->receive([&](number index) { result = index; });
  for (auto &each : members) {
    anon_send_exit(each, exit_reason::user_shutdown);
  }
  return result;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s NAME COUNT [THREADS]\n", argv[0]);
    return 2;
  }
  const std::string name = argv[1];
  const number count = std::atoll(argv[2]);
  actor_system_config config;
  if (argc > 3) {
    config.set("scheduler.max-threads", static_cast<size_t>(std::atoi(argv[3])));
  }
  actor_system system{config};
  const auto begin = std::chrono::steady_clock::now();
  number result = -1;
  if (name == "skynet") {
    result = run_skynet(system, count);
  } else if (name == "senders") {
    result = run_senders(system, count);
  } else if (name == "create") {
    result = run_create(system, count);
  } else if (name == "pingpong") {
    result = run_pingpong(system, count);
  } else if (name == "ring") {
    result = run_ring(system, count);
  }
  const auto end = std::chrono::steady_clock::now();
  const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(end - begin);
  std::printf("%s %lld %lld\n", name.c_str(), static_cast<long long>(elapsed.count()),
              static_cast<long long>(result));
  std::fflush(stdout);
  return 0;
}
