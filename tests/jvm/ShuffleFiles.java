// Writes shuffle and RDD files as an executor would, at the places that Spark's own hash gives, and
// knows what is in them.

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntUnaryOperator;
import java.util.zip.Adler32;

import org.apache.spark.network.shuffle.ExecutorDiskUtils;
import org.apache.spark.network.shuffle.protocol.ExecutorShuffleInfo;

final class ShuffleFiles {
  private static final int SUB_DIRS = 64;

  private final Path base;
  private final String[] dirs;
  private final Map<Integer, IntUnaryOperator> sizes = new ConcurrentHashMap<>();

  ShuffleFiles(Path base) {
    this.base = base;
    this.dirs = new String[] {base.resolve("disk-a/blockmgr-1").toString(), base.resolve("disk-b/blockmgr-2").toString()};
  }

  Path base() {
    return base;
  }

  ExecutorShuffleInfo info() {
    return new ExecutorShuffleInfo(dirs, SUB_DIRS, "org.apache.spark.shuffle.sort.SortShuffleManager");
  }

  String emptyDir() throws IOException {
    return Files.createDirectories(base.resolve("disk-a/blockmgr-empty")).toString();
  }

  // Index, data and checksum files of `maps` map outputs with `reduces` blocks each.
  void write(int shuffle, int maps, int reduces, IntUnaryOperator sizeOf) throws IOException {
    sizes.put(shuffle, sizeOf);
    for (int map = 0; map < maps; map++) {
      String name = "shuffle_" + shuffle + "_" + map + "_0";
      try (DataOutputStream index = open(name + ".index");
          DataOutputStream data = open(name + ".data");
          DataOutputStream checksums = open(name + ".checksum.ADLER32")) {
        long offset = 0;
        index.writeLong(offset);
        for (int reduce = 0; reduce < reduces; reduce++) {
          byte[] bytes = content(shuffle, map, reduce);
          data.write(bytes);
          checksums.writeLong(adler32(bytes));
          index.writeLong(offset += bytes.length);
        }
      }
    }
  }

  byte[] writeRdd(int rdd, int partition, int size) throws IOException {
    byte[] bytes = fill(size, 1000 * rdd + partition);
    try (DataOutputStream out = open("rdd_" + rdd + "_" + partition)) {
      out.write(bytes);
    }
    return bytes;
  }

  // The bytes of `shuffle_<shuffle>_<map>_<reduce>`.
  byte[] block(String id) {
    String[] parts = id.split("_");
    return content(Integer.parseInt(parts[1]), Integer.parseInt(parts[2]), Integer.parseInt(parts[3]));
  }

  // The bytes of partitions [start, end) of one map output.
  byte[] batch(int shuffle, int map, int start, int end) throws IOException {
    var all = new ByteArrayOutputStream();
    for (int reduce = start; reduce < end; reduce++) {
      all.write(content(shuffle, map, reduce));
    }
    return all.toByteArray();
  }

  // Flips the first bits of one block on disk; done twice, it is as before.
  void damage(int shuffle, int map, int reduce) throws IOException {
    int offset = 0;
    for (int before = 0; before < reduce; before++) {
      offset += sizes.get(shuffle).applyAsInt(before);
    }
    try (RandomAccessFile data = new RandomAccessFile(place("shuffle_" + shuffle + "_" + map + "_0.data"), "rw")) {
      data.seek(offset);
      int flipped = data.read() ^ 0xFF;
      data.seek(offset);
      data.write(flipped);
    }
  }

  boolean exists(String name) {
    return place(name).exists();
  }

  static long adler32(byte[] bytes) {
    Adler32 sum = new Adler32();
    sum.update(bytes);
    return sum.getValue();
  }

  private byte[] content(int shuffle, int map, int reduce) {
    return fill(sizes.get(shuffle).applyAsInt(reduce), 1_000_003 * shuffle + 1009 * map + reduce);
  }

  private static byte[] fill(int size, int seed) {
    byte[] bytes = new byte[size];
    int state = seed * 2 + 1;
    for (int i = 0; i < size; i++) {
      state = state * 1_664_525 + 1_013_904_223;
      bytes[i] = (byte) (state >>> 24);
    }
    return bytes;
  }

  private File place(String name) {
    return new File(ExecutorDiskUtils.getFilePath(dirs, SUB_DIRS, name));
  }

  private DataOutputStream open(String name) throws IOException {
    File file = place(name);
    Files.createDirectories(file.toPath().getParent());
    return new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file.toPath()), 1 << 16));
  }
}
