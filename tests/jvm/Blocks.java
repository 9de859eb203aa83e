// What a fetch brought: one answer per block, kept until it is compared.

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.shuffle.BlockFetchingListener;

final class Blocks implements BlockFetchingListener {
  private final Map<String, byte[]> arrived = new ConcurrentHashMap<>();
  private final Map<String, Throwable> failures = new ConcurrentHashMap<>();
  private final CountDownLatch first = new CountDownLatch(1);
  private final CountDownLatch all;

  Blocks(int count) {
    all = new CountDownLatch(count);
  }

  @Override
  public void onBlockFetchSuccess(String id, ManagedBuffer data) {
    try {
      ByteBuffer buffer = data.nioByteBuffer();
      byte[] bytes = new byte[buffer.remaining()];
      buffer.get(bytes);
      arrived.put(id, bytes);
    } catch (Throwable e) {
      failures.put(id, e);
    }
    first.countDown();
    all.countDown();
  }

  @Override
  public void onBlockFetchFailure(String id, Throwable e) {
    failures.put(id, e);
    first.countDown();
    all.countDown();
  }

  void awaitFirst(int limitSeconds) throws InterruptedException {
    ClientChecks.expect(first.await(limitSeconds, TimeUnit.SECONDS), "no answer within " + limitSeconds + " s");
  }

  void awaitAll(int limitSeconds) throws InterruptedException {
    ClientChecks.expect(
        all.await(limitSeconds, TimeUnit.SECONDS), all.getCount() + " blocks unanswered after " + limitSeconds + " s");
  }

  void compare(String id, byte[] wanted) {
    Throwable failure = failures.get(id);
    ClientChecks.expect(failure == null, id + " failed: " + (failure == null ? "" : ClientChecks.everythingSaid(failure)));
    byte[] bytes = arrived.get(id);
    ClientChecks.expect(bytes != null, id + " did not arrive");
    ClientChecks.expect(
        Arrays.equals(bytes, wanted),
        id + ": " + bytes.length + " bytes of " + wanted.length + ", different from byte " + Arrays.mismatch(bytes, wanted));
  }

  void failed(String id, String text) {
    Throwable failure = failures.get(id);
    ClientChecks.expect(failure != null, id + " did not fail");
    String said = ClientChecks.everythingSaid(failure);
    ClientChecks.expect(said.contains(text), id + " failed with another text: " + said);
  }
}
