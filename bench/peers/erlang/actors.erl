%% The yardsticks of digitalcard-bench actors as an Erlang programmer would write them: plain
%% processes, plain messages, tail calls. Each checks its result and prints
%%   name elapsed_us result
%% Usage: erl +P 4000000 -noshell -run actors main NAME COUNT
-module(actors).
-export([main/1]).
-export([skynet/4, node/2]).

main([Name, CountText]) ->
    Count = list_to_integer(CountText),
    Run = yardstick(Name),
    Self = self(),
    %% A process of its own: the shell's has a heap of other things.
    spawn_link(fun() ->
        Begin = erlang:monotonic_time(microsecond),
        Result = Run(Count),
        End = erlang:monotonic_time(microsecond),
        Self ! {done, End - Begin, Result}
    end),
    receive
        {done, Elapsed, Result} ->
            io:format("~s ~b ~b~n", [Name, Elapsed, Result]),
            halt(0, [{flush, true}])
    end.

yardstick("skynet") -> fun run_skynet/1;
yardstick("senders") -> fun run_senders/1;
yardstick("create") -> fun run_create/1;
yardstick("pingpong") -> fun run_pingpong/1;
yardstick("ring") -> fun run_ring/1.

%% --- skynet: ten children each, Count leaves, the sum of their numbers ---

run_skynet(Count) ->
    skynet(self(), 0, Count, 10),
    receive Sum -> Sum end.

skynet(Parent, Number, 1, _) ->
    Parent ! Number;
skynet(Parent, Number, Size, Div) ->
    Self = self(),
    Below = Size div Div,
    [spawn(?MODULE, skynet, [Self, Number + Child * Below, Below, Div])
     || Child <- lists:seq(0, Div - 1)],
    Parent ! sum(Div, 0).

sum(0, Sum) -> Sum;
sum(Left, Sum) -> receive Part -> sum(Left - 1, Sum + Part) end.

%% --- senders: 20 processes send 1..Count each to one ---

run_senders(Count) ->
    Senders = 20,
    Self = self(),
    %% What OTP's own documentation advises for a process with a long queue.
    Receiver = spawn_opt(fun() -> Self ! add_up(Senders * Count, 0) end,
                         [{message_queue_data, off_heap}]),
    [spawn(fun() -> send_all(Receiver, 1, Count) end) || _ <- lists:seq(1, Senders)],
    receive Sum -> Sum end.

add_up(0, Sum) -> Sum;
add_up(Left, Sum) -> receive Number -> add_up(Left - 1, Sum + Number) end.

send_all(_, Number, Count) when Number > Count -> ok;
send_all(Receiver, Number, Count) ->
    Receiver ! Number,
    send_all(Receiver, Number + 1, Count).

%% --- create: a binary tree of Count levels below the root, counted ---

run_create(Count) ->
    spawn(?MODULE, node, [self(), Count]),
    receive Nodes -> Nodes end.

node(Parent, 0) ->
    Parent ! 1;
node(Parent, Depth) ->
    Self = self(),
    spawn(?MODULE, node, [Self, Depth - 1]),
    spawn(?MODULE, node, [Self, Depth - 1]),
    receive
        One -> receive Other -> Parent ! One + Other + 1 end
    end.

%% --- pingpong: a number goes to the other and comes back one higher, Count times ---

run_pingpong(Count) ->
    Pong = spawn_link(fun pong/0),
    Self = self(),
    spawn_link(fun() -> Pong ! {self(), 0}, Self ! ping(Pong, Count) end),
    receive Rounds -> Rounds end.

ping(Pong, Count) ->
    receive
        Count -> Count;
        Number -> Pong ! {self(), Number}, ping(Pong, Count)
    end.

pong() ->
    receive {From, Number} -> From ! Number + 1, pong() end.

%% --- ring: 100 processes pass a token Count times around ---

run_ring(Count) ->
    Actors = 100,
    Self = self(),
    Members = [spawn_link(fun() -> receive {next, Next} -> member(Next, Number, Self) end end)
               || Number <- lists:seq(0, Actors - 1)],
    Nexts = tl(Members) ++ [hd(Members)],
    [Member ! {next, Next} || {Member, Next} <- lists:zip(Members, Nexts)],
    hd(Members) ! Actors * Count,
    receive {last, Number} -> Number end.

member(Next, Number, Main) ->
    receive
        0 -> Main ! {last, Number};
        Left -> Next ! Left - 1, member(Next, Number, Main)
    end.
