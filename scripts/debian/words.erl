%% SPDX-License-Identifier: GPL-2.0

%% Many processes on as many schedulers as there are CPUs: each works on a piece and
%% sends the result to the first one, and then messages go around a ring of them.
-module(words).
-export([main/1]).

%% Counts the words of a made-up text, and digests them in alphabetic order.
work(Piece) ->
    Words = count(Piece + 1, 1000, #{}),
    erlang:md5(term_to_binary(lists:sort(maps:to_list(Words)))).

count(_, 0, Counts) ->
    Counts;
count(State, N, Counts) ->
    Next = (State * 1664525 + 1013904223) band 16#ffffffff,
    Word = integer_to_list(Next bsr 20),
    count(Next, N - 1, maps:update_with(Word, fun(C) -> C + 1 end, 1, Counts)).

pass(Next) ->
    receive
        0 ->
            Next ! 0;
        N ->
            Next ! N - 1,
            pass(Next)
    end.

%% Sends a message N times from process to process, Length in a ring.
ring(Length, N) ->
    Last = lists:foldl(fun(_, Next) -> spawn_link(fun() -> pass(Next) end) end,
                       self(), lists:seq(2, Length)),
    Last ! N,
    back(Last).

back(Last) ->
    receive
        0 -> ok;
        N when is_integer(N) -> Last ! N - 1, back(Last)
    end.

main([Pieces]) ->
    N = list_to_integer(Pieces),
    Self = self(),
    [spawn_link(fun() -> Self ! {I, work(I)} end) || I <- lists:seq(1, N)],
    Results = [receive {I, Digest} -> Digest end || I <- lists:seq(1, N)],
    ok = ring(50, N * 20),
    io:format("~s~n", [[io_lib:format("~2.16.0b", [B]) || <<B>> <= erlang:md5(Results)]]),
    halt().
