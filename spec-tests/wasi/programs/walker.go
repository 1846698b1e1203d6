// A program of Go's standard library: goroutines, channels, timers, files.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func main() {
	fmt.Println(os.Args[1:], os.Getenv("GREETING"))

	// Goroutines that hand on a number, each adding one.
	first := make(chan int)
	in := first
	for i := 0; i < 1000; i++ {
		out := make(chan int)
		go func(in, out chan int) { out <- 1 + <-in }(in, out)
		in = out
	}
	first <- 0
	fmt.Println("chain", <-in)

	// Timers strike in their order, whatever the order they were set in.
	struck := make(chan int, 3)
	start := time.Now()
	for _, delay := range []int{60, 20, 40} {
		time.AfterFunc(time.Duration(delay)*time.Millisecond, func() { struck <- delay })
	}
	fmt.Println("timers", <-struck, <-struck, <-struck, time.Since(start) >= 60*time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	fmt.Println(ctx.Err())
	ticker := time.NewTicker(5 * time.Millisecond)
	for i := 0; i < 5; i++ {
		<-ticker.C
	}
	ticker.Stop()

	// Files, written by many at once.
	var group sync.WaitGroup
	for i := 0; i < 20; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			dir := fmt.Sprintf("/data/%d", i%5)
			check(os.MkdirAll(dir, 0o755))
			check(os.WriteFile(fmt.Sprintf("%s/%02d.txt", dir, i), []byte(strings.Repeat("x", i*100)), 0o644))
		}()
	}
	group.Wait()
	sums := map[string]string{}
	var paths []string
	check(filepath.WalkDir("/data", func(path string, entry fs.DirEntry, err error) error {
		check(err)
		if entry.IsDir() {
			return nil
		}
		text, err := os.ReadFile(path)
		check(err)
		sums[path] = fmt.Sprintf("%d %x", len(text), sha256.Sum256(text))
		paths = append(paths, path)
		return nil
	}))
	sort.Strings(paths)
	fmt.Println(len(paths), paths[0], paths[len(paths)-1])
	all, err := json.Marshal(sums)
	check(err)
	fmt.Printf("%x\n", sha256.Sum256(all))
	check(os.Rename("/data/0", "/data/renamed"))
	info, err := os.Stat("/data/renamed/05.txt")
	check(err)
	fmt.Println(info.Size(), info.Mode().IsRegular(), time.Since(info.ModTime()) < time.Minute)
	_, err = os.Open("/data/none")
	fmt.Println(os.IsNotExist(err))
	_, err = os.Open("/etc/passwd")
	fmt.Println(err != nil)
	check(os.RemoveAll("/data/renamed"))
	entries, err := os.ReadDir("/data")
	check(err)
	fmt.Println(len(entries))
	os.Exit(3)
}
