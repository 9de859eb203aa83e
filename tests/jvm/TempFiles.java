// Temporary files for fetched blocks, as an executor keeps them.

import java.io.File;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.spark.network.shuffle.DownloadFile;
import org.apache.spark.network.shuffle.DownloadFileManager;
import org.apache.spark.network.shuffle.SimpleDownloadFile;
import org.apache.spark.network.util.TransportConf;

final class TempFiles implements DownloadFileManager {
  private final Path folder;
  private final AtomicInteger created = new AtomicInteger(), registered = new AtomicInteger();

  TempFiles(Path folder) {
    this.folder = folder;
  }

  @Override
  public DownloadFile createTempFile(TransportConf conf) {
    File file = folder.resolve("fetched-" + created.incrementAndGet()).toFile();
    file.deleteOnExit();
    return new SimpleDownloadFile(file, conf);
  }

  @Override
  public boolean registerTempFileToClean(DownloadFile file) {
    registered.incrementAndGet();
    return true;
  }

  int registered() {
    return registered.get();
  }
}
