// SPDX-License-Identifier: GPL-2.0

// What Go programs do: goroutines that take pieces of work from a channel, allocate memory
// while they work on them, so that the garbage is collected several times, and hand over the
// results. The sum does not depend on their order.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"runtime"
	"sort"
	"strconv"
	"sync"
)

// work counts the words of a made-up text, and digests them in alphabetic order.
func work(piece int) uint64 {
	count := make(map[string]int)
	state := uint32(piece + 1)
	for i := 0; i < 2000; i++ {
		state = state*1664525 + 1013904223
		count[strconv.Itoa(int(state>>20))]++
	}
	words := make([]string, 0, len(count))
	for word := range count {
		words = append(words, word)
	}
	sort.Strings(words)
	hash := sha256.New()
	for _, word := range words {
		fmt.Fprintln(hash, word, count[word])
	}
	return binary.LittleEndian.Uint64(hash.Sum(nil))
}

func main() {
	pieces := flag.Int("n", 200, "pieces of work")
	flag.Parse()

	todo := make(chan int)
	done := make(chan uint64)
	var workers sync.WaitGroup
	for i := 0; i < 2*runtime.NumCPU(); i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for piece := range todo {
				done <- work(piece)
			}
		}()
	}
	go func() {
		for piece := 0; piece < *pieces; piece++ {
			todo <- piece
		}
		close(todo)
		workers.Wait()
		close(done)
	}()
	var sum uint64
	for result := range done {
		sum += result
	}
	fmt.Printf("%016x\n", sum)
}
