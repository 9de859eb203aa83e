// Drives Spark's own client classes against a shuffle service, with files that it writes itself.
//
//     java -cp OUT:JARS ClientChecks PORT ROOT
//
// The service must listen on 127.0.0.1:PORT and serve what lies below ROOT. One line per check, a
// closing line with the counts, exit code 1 when a check failed. The checks share one application;
// each says what it needs of it, and only `removeBlocks` takes something away.

import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

import org.apache.spark.network.shuffle.ExternalBlockStoreClient;
import org.apache.spark.network.shuffle.MergeFinalizerListener;
import org.apache.spark.network.shuffle.checksum.Cause;
import org.apache.spark.network.shuffle.protocol.ExecutorShuffleInfo;
import org.apache.spark.network.shuffle.protocol.MergeStatuses;
import org.apache.spark.network.util.MapConfigProvider;
import org.apache.spark.network.util.TransportConf;

public final class ClientChecks {
  static final String HOST = "127.0.0.1";
  static final String APP = "app-checks";
  static final String EXECUTOR = "7";
  static final int LIMIT_S = 60;

  // One shuffle of 50 map outputs with 100 blocks each, and one of two map outputs with large blocks.
  static final int MAPS = 50, REDUCES = 100, BIG = 1, BIG_BLOCK = 8 << 20, BIG_BLOCKS = 16;

  private final int port;
  private final ShuffleFiles files;
  private int passed, failed;

  private ClientChecks(int port, Path root) {
    this.port = port;
    this.files = new ShuffleFiles(root.resolve("checks"));
  }

  public static void main(String[] args) throws Exception {
    ClientChecks checks = new ClientChecks(Integer.parseInt(args[0]), Path.of(args[1]));
    checks.files.write(0, MAPS, REDUCES, reduce -> reduce % 10 == 9 ? 0 : 100 + 13 * reduce);
    checks.files.write(BIG, 2, BIG_BLOCKS, reduce -> BIG_BLOCK);
    checks.all();
    System.out.printf("%d passed, %d failed%n", checks.passed, checks.failed);
    System.exit(checks.failed == 0 && checks.passed > 0 ? 0 : 1);
  }

  private void all() {
    check("an executor registers", this::register);
    check("a registration outside of every root is refused", this::registerOutside);
    check("registering again replaces the directories", this::registerAgain);
    check("one block", () -> fetchAndCompare(client(), ids("shuffle_0_3_5")));
    check("an empty block", () -> fetchAndCompare(client(), ids("shuffle_0_3_9")));
    check("5,000 blocks in one request", () -> fetchAndCompare(client(), allBlocks()));
    check("batches of neighbouring blocks", this::batches);
    check("blocks of 8 MiB", () -> fetchAndCompare(client(), bigBlocks(0)));
    check("blocks into temporary files", this::intoFiles);
    check("the old protocol", this::oldProtocol);
    check("RDD blocks", this::rddBlocks);
    check("a missing map output fails its block and those after it", this::missingMapOutput);
    check("a partition beyond the index fails", () -> fails(client(), "shuffle_0_3_100", ""));
    check("a missing RDD block fails", () -> fails(client(), "rdd_1_99", ""));
    check("an application that is not registered", this::unregisteredApplication);
    check("an executor that is not registered", this::wrongExecutor);
    check("16 threads, 4 clients at once", this::concurrently);
    check("directories of executors", this::localDirs);
    check("directories of an unknown executor fail", this::localDirsOfUnknown);
    check("diagnosis of corrupt blocks", this::diagnose);
    check("push-merge is refused with Spark's words", this::pushMerge);
    check("a client that vanishes while it is sent to", this::vanishingClient);
    check("a client that vanishes within a frame", this::vanishingFrame);
    check("removed blocks are gone", this::removeBlocks);
    check("removing for an unknown executor removes nothing", this::removeOfUnknown);
  }

  // ---- registration

  private void register() throws Exception {
    try (ExternalBlockStoreClient client = newClient(APP, Map.of())) {
      client.registerWithShuffleServer(HOST, port, EXECUTOR, files.info());
    }
  }

  private void registerOutside() throws Exception {
    String outside = "/outside-of-every-root/blockmgr-1";
    try (ExternalBlockStoreClient client = newClient(APP, Map.of())) {
      client.registerWithShuffleServer(HOST, port, "8", new ExecutorShuffleInfo(new String[] {outside}, 64, "sort"));
    } catch (Exception refused) {
      expect(everythingSaid(refused).contains(outside), "it does not name the directory: " + everythingSaid(refused));
      return;
    }
    throw new AssertionError("it was accepted");
  }

  private void registerAgain() throws Exception {
    try (ExternalBlockStoreClient client = newClient("app-twice", Map.of())) {
      String[] empty = {files.emptyDir()};
      client.registerWithShuffleServer(HOST, port, EXECUTOR, new ExecutorShuffleInfo(empty, 64, "sort"));
      fails(client, "shuffle_0_3_5", "");
      client.registerWithShuffleServer(HOST, port, EXECUTOR, files.info());
      fetchAndCompare(client, ids("shuffle_0_3_5"));
    }
  }

  // ---- fetching

  private void batches() throws Exception {
    Blocks got = fetch(client(), EXECUTOR, ids("shuffle_0_2_0_100", "shuffle_0_3_10_25", "shuffle_0_4_9_10"), null);
    got.compare("shuffle_0_2_0_100", files.batch(0, 2, 0, 100));
    got.compare("shuffle_0_3_10_25", files.batch(0, 3, 10, 25));
    got.compare("shuffle_0_4_9_10", new byte[0]);
  }

  private void intoFiles() throws Exception {
    TempFiles temporary = new TempFiles(files.base());
    String[] wanted = bigBlocks(1);
    Blocks got = fetch(client(), EXECUTOR, wanted, temporary);
    for (String id : wanted) {
      got.compare(id, files.block(id));
    }
    expect(temporary.registered() == wanted.length, temporary.registered() + " files, wanted " + wanted.length);
  }

  private void oldProtocol() throws Exception {
    try (ExternalBlockStoreClient client = newClient(APP, Map.of("spark.shuffle.useOldFetchProtocol", "true"))) {
      fetchAndCompare(client, allBlocks());
    }
  }

  private void rddBlocks() throws Exception {
    byte[] first = files.writeRdd(1, 0, 70_000), second = files.writeRdd(1, 1, 3);
    Blocks got = fetch(client(), EXECUTOR, ids("rdd_1_0", "rdd_1_1"), null);
    got.compare("rdd_1_0", first);
    got.compare("rdd_1_1", second);
  }

  private void missingMapOutput() throws Exception {
    Blocks got = fetch(client(), EXECUTOR, ids("shuffle_0_3_5", "shuffle_0_99_5", "shuffle_0_4_5"), null);
    got.compare("shuffle_0_3_5", files.block("shuffle_0_3_5"));
    got.failed("shuffle_0_99_5", "");
    got.failed("shuffle_0_4_5", "");
  }

  private void unregisteredApplication() throws Exception {
    try (ExternalBlockStoreClient client = newClient("app-nobody", Map.of())) {
      fails(client, "shuffle_0_3_5", "Executor is not registered (appId=app-nobody, execId=7)");
    }
  }

  private void wrongExecutor() throws Exception {
    Blocks got = fetch(client(), "17", ids("shuffle_0_3_5"), null);
    got.failed("shuffle_0_3_5", "Executor is not registered (appId=" + APP + ", execId=17)");
  }

  private void concurrently() throws Exception {
    int threads = 16, rounds = 4;
    List<ExternalBlockStoreClient> clients = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      clients.add(newClient(APP, Map.of("spark.shuffle.io.numConnectionsPerPeer", "2")));
    }
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Future<?>> running = new ArrayList<>();
      for (int thread = 0; thread < threads; thread++) {
        int number = thread;
        running.add(pool.submit(() -> {
          for (int round = 0; round < rounds; round++) {
            fetchAndCompare(clients.get(number % clients.size()), blocksOf((number + round) % MAPS));
          }
          return null;
        }));
      }
      for (Future<?> each : running) {
        each.get(LIMIT_S, TimeUnit.SECONDS);
      }
    } finally {
      pool.shutdownNow();
      clients.forEach(ExternalBlockStoreClient::close);
    }
  }

  // ---- everything else that clients ask for

  private void localDirs() throws Exception {
    CompletableFuture<Map<String, String[]>> answer = new CompletableFuture<>();
    client().getHostLocalDirs(HOST, port, ids(EXECUTOR), answer);
    Map<String, String[]> dirs = answer.get(LIMIT_S, TimeUnit.SECONDS);
    expect(dirs.keySet().equals(Set.of(EXECUTOR)), "executors " + dirs.keySet());
    expect(Arrays.equals(dirs.get(EXECUTOR), files.info().localDirs), "directories " + Arrays.toString(dirs.get(EXECUTOR)));
  }

  private void localDirsOfUnknown() throws Exception {
    CompletableFuture<Map<String, String[]>> answer = new CompletableFuture<>();
    client().getHostLocalDirs(HOST, port, ids(EXECUTOR, "17"), answer);
    try {
      answer.get(LIMIT_S, TimeUnit.SECONDS);
    } catch (ExecutionException refused) {
      String said = everythingSaid(refused);
      expect(said.contains("Executor is not registered (appId=" + APP + ", execId=17)"), said);
      return;
    }
    throw new AssertionError("it was answered");
  }

  private void diagnose() throws Exception {
    byte[] block = files.block("shuffle_0_3_5");
    long right = ShuffleFiles.adler32(block);
    expectCause(Cause.CHECKSUM_VERIFY_PASS, 3, 5, right, "ADLER32");
    expectCause(Cause.NETWORK_ISSUE, 3, 5, right + 1, "ADLER32");
    expectCause(Cause.UNSUPPORTED_CHECKSUM_ALGORITHM, 3, 5, right, "MD5");
    expectCause(Cause.UNKNOWN_ISSUE, 3, 5, right, "CRC32"); // no such checksum file
    files.damage(0, 6, 5);
    expectCause(Cause.DISK_ISSUE, 6, 5, 1, "ADLER32");
    files.damage(0, 6, 5); // the same bits again: undone
    expectCause(Cause.CHECKSUM_VERIFY_PASS, 6, 5, ShuffleFiles.adler32(files.block("shuffle_0_6_5")), "ADLER32");
    expectCause(Cause.UNKNOWN_ISSUE, 99, 5, right, "ADLER32"); // no such map output
  }

  private void expectCause(Cause wanted, int map, int reduce, long checksum, String algorithm) {
    Cause seen = client().diagnoseCorruption(HOST, port, EXECUTOR, 0, map, reduce, checksum, algorithm);
    expect(seen == wanted, "map " + map + ", " + algorithm + ": " + seen + ", wanted " + wanted);
  }

  private void pushMerge() throws Exception {
    CompletableFuture<Throwable> answer = new CompletableFuture<>();
    client().finalizeShuffleMerge(HOST, port, 0, 0, new MergeFinalizerListener() {
      @Override
      public void onShuffleMergeSuccess(MergeStatuses statuses) {
        answer.complete(new AssertionError("it was accepted"));
      }

      @Override
      public void onShuffleMergeFailure(Throwable e) {
        answer.complete(e);
      }
    });
    String said = everythingSaid(answer.get(LIMIT_S, TimeUnit.SECONDS));
    expect(said.contains("java.lang.UnsupportedOperationException: Cannot handle shuffle block merge"), said);
  }

  private void vanishingClient() throws Exception {
    for (int round = 0; round < 10; round++) {
      Blocks got = new Blocks(BIG_BLOCKS);
      try (ExternalBlockStoreClient client = newClient(APP, Map.of("spark.shuffle.io.maxRetries", "0"))) {
        client.fetchBlocks(HOST, port, EXECUTOR, bigBlocks(0), got, null);
        got.awaitFirst(LIMIT_S);
      }
    }
    fetchAndCompare(client(), bigBlocks(0));
  }

  private void vanishingFrame() throws Exception {
    for (int round = 0; round < 100; round++) {
      try (Socket socket = new Socket(InetAddress.getByName(HOST), port)) {
        socket.setSoLinger(true, 0); // closing resets the connection
        socket.getOutputStream().write(new byte[] {0, 0, 0, 0, 0, 0, 1, 0, 3, 0}, 0, 1 + round % 10);
      }
    }
    fetchAndCompare(client(), ids("shuffle_0_3_5"));
  }

  private void removeBlocks() throws Exception {
    String[] names = ids("shuffle_0_8_0.index", "shuffle_0_8_0.data", "shuffle_0_999_0.data", "../../etc/passwd", "");
    fetchAndCompare(client(), ids("shuffle_0_8_5"));
    int removed = client().removeBlocks(HOST, port, EXECUTOR, names).get(LIMIT_S, TimeUnit.SECONDS);
    expect(removed == 2 || removed == 3, removed + " files removed"); // 3 where the checksum file is counted
    expect(!files.exists("shuffle_0_8_0.index") && !files.exists("shuffle_0_8_0.data"), "the files are still there");
    fails(client(), "shuffle_0_8_5", "");
    fetchAndCompare(client(), ids("shuffle_0_9_5"));
  }

  private void removeOfUnknown() throws Exception {
    int removed = client().removeBlocks(HOST, port, "17", ids("shuffle_0_9_0.data")).get(LIMIT_S, TimeUnit.SECONDS);
    expect(removed == 0 && files.exists("shuffle_0_9_0.data"), removed + " files removed");
  }

  // ---- means

  private interface Body {
    void run() throws Exception;
  }

  private void check(String name, Body body) {
    long began = System.nanoTime();
    try {
      body.run();
      passed++;
      System.out.printf("ok   %s (%d ms)%n", name, (System.nanoTime() - began) / 1_000_000);
    } catch (Throwable e) {
      failed++;
      System.out.printf("FAIL %s: %s%n", name, everythingSaid(e));
    }
    System.out.flush();
  }

  private ExternalBlockStoreClient shared;

  private ExternalBlockStoreClient client() {
    if (shared == null) {
      shared = newClient(APP, Map.of());
    }
    return shared;
  }

  private static ExternalBlockStoreClient newClient(String app, Map<String, String> settings) {
    TransportConf conf = new TransportConf("shuffle", new MapConfigProvider(settings));
    ExternalBlockStoreClient client = new ExternalBlockStoreClient(conf, null, false, 5000);
    client.init(app);
    return client;
  }

  private Blocks fetch(ExternalBlockStoreClient client, String executor, String[] ids, TempFiles temporary) throws Exception {
    Blocks got = new Blocks(ids.length);
    client.fetchBlocks(HOST, port, executor, ids.clone(), got, temporary);
    got.awaitAll(LIMIT_S);
    return got;
  }

  private void fetchAndCompare(ExternalBlockStoreClient client, String[] ids) throws Exception {
    Blocks got = fetch(client, EXECUTOR, ids, null);
    for (String id : ids) {
      got.compare(id, files.block(id));
    }
  }

  private void fails(ExternalBlockStoreClient client, String id, String text) throws Exception {
    fetch(client, EXECUTOR, ids(id), null).failed(id, text);
  }

  private static String[] ids(String... ids) {
    return ids;
  }

  private static String[] blocksOf(int map) {
    String[] found = new String[REDUCES];
    Arrays.setAll(found, reduce -> "shuffle_0_" + map + "_" + reduce);
    return found;
  }

  private static String[] allBlocks() {
    List<String> found = new ArrayList<>();
    for (int map = 0; map < MAPS; map++) {
      found.addAll(Arrays.asList(blocksOf(map)));
    }
    return found.toArray(new String[0]);
  }

  private static String[] bigBlocks(int map) {
    String[] found = new String[BIG_BLOCKS];
    Arrays.setAll(found, reduce -> "shuffle_" + BIG + "_" + map + "_" + reduce);
    return found;
  }

  static void expect(boolean held, String otherwise) {
    if (!held) {
      throw new AssertionError(otherwise);
    }
  }

  static String everythingSaid(Throwable e) {
    StringBuilder said = new StringBuilder();
    for (Throwable each = e; each != null; each = each.getCause()) {
      said.append(each).append('\n');
    }
    return said.toString();
  }
}
