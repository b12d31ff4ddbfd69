// SPDX-License-Identifier: GPL-2.0

import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;

/** Threads of a pool that allocate memory and compute, and a parallel stream. */
public class Words {
    /** Counts the words of a made-up text, and digests them in alphabetic order. */
    static byte[] work(int piece) throws Exception {
        TreeMap<String, Integer> count = new TreeMap<>();
        int state = piece + 1;
        for (int i = 0; i < 1000; i++) {
            state = state * 1664525 + 1013904223;
            count.merge(Integer.toString(state >>> 20), 1, Integer::sum);
        }
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        count.forEach((word, n) -> digest.update((word + " " + n + "\n").getBytes()));
        return digest.digest();
    }

    public static void main(String[] args) throws Exception {
        int pieces = Integer.parseInt(args[0]);
        int cpus = Runtime.getRuntime().availableProcessors();
        ExecutorService pool = Executors.newFixedThreadPool(cpus);
        List<Future<byte[]>> results = new ArrayList<>();
        for (int i = 0; i < pieces; i++) {
            int piece = i;
            results.add(pool.submit(() -> work(piece)));
        }
        long sum = 0;
        for (Future<byte[]> result : results)
            for (byte b : result.get())
                sum = sum * 31 + b;
        pool.shutdown();
        sum += LongStream.range(0, pieces * 20000L).parallel().map(x -> x * x ^ x >> 3).sum();
        System.out.println(Long.toHexString(sum));
    }
}
