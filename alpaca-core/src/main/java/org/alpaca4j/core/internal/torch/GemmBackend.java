package org.alpaca4j.core.internal.torch;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.sun.jna.Function;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.alpaca4j.core.DType;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Chooses by measurement who multiplies fp32 matrices on the CPU, once per process.
 *
 * <p>PyTorch hands fp32 products to MKL, whose best code does not run on every CPU; with {@code
 * setFloat32MatmulPrecision(MEDIUM)} it hands them to oneDNN, which is twice as fast on some CPUs
 * in true fp32, and computes in bf16 on others. Nobody can know beforehand, so a few products are
 * timed and their error against fp64 is checked; a candidate with more than fp32's error is out.
 *
 * <p>The system property {@code alpaca4j.gemm} overrides the choice: {@code auto} (default), {@code
 * mkl} (PyTorch's default) or {@code onednn}. The setting is reached through JNA in {@code
 * libtorch_cpu}; where its symbols are missing, PyTorch's default stays, with a log line.
 */
public final class GemmBackend {
  private static final Logger log = LoggerFactory.getLogger(GemmBackend.class);

  static final String PROPERTY = "alpaca4j.gemm";
  static final String PROPERTY_16 = "alpaca4j.gemm16";

  private static final Map<DType, Boolean> WIDENED = new ConcurrentHashMap<>();

  private static final String CONTEXT = "_ZN2at13globalContextEv";
  private static final String SET_PRECISION =
      "_ZN2at7Context25setFloat32MatmulPrecisionENS_22Float32MatmulPrecisionE";
  private static final int HIGHEST = 0;
  private static final int MEDIUM = 2;

  /**
   * Of sums of {@link #DEPTH} products of unit variance; bf16 is off by about 0.5, fp32 by 1e-4.
   */
  private static final double LARGEST_FP32_ERROR = 2e-3;

  private static final int ROWS = 192;
  private static final int DEPTH = 768;
  private static final int COLUMNS = 1024;
  private static final int ROUNDS = 3;

  /** Who multiplies fp32 matrices. */
  public enum Choice {
    /** What PyTorch picks by itself. */
    MKL,
    /** oneDNN. */
    ONEDNN
  }

  private static @Nullable Choice chosen;

  private GemmBackend() {}

  /**
   * Returns the back end in use, choosing it on the first call.
   *
   * @throws IllegalArgumentException if the system property has another value than those above
   */
  public static synchronized Choice choice() {
    Choice choice = chosen;
    if (choice == null) {
      Torch.initialize();
      choice = choose(System.getProperty(PROPERTY, "auto"));
      chosen = choice;
    }
    return choice;
  }

  /** Sets the back end that a value of the property asks for. */
  static Choice choose(String value) {
    String wish = value.toLowerCase(Locale.ROOT);
    if (!wish.equals("auto") && !wish.equals("mkl") && !wish.equals("onednn")) {
      throw new IllegalArgumentException(
          "-D" + PROPERTY + "=" + value + ": expected auto, mkl or onednn");
    }
    if (wish.equals("mkl")) {
      return Choice.MKL;
    }
    Optional<Setting> setting = Setting.find();
    if (setting.isEmpty()) {
      log.info(
          "The GEMM back end cannot be set in this libtorch or system: PyTorch's default stays");
      return Choice.MKL;
    }
    if (wish.equals("onednn")) {
      setting.get().set(MEDIUM);
      return Choice.ONEDNN;
    }
    return measure(setting.get());
  }

  /**
   * Returns whether products of 16-bit operands are better computed in fp32 on a device: on a CPU
   * that only emulates them. Measured once per process and dtype; the system property {@code
   * alpaca4j.gemm16} overrides it: {@code auto} (default), {@code native} or {@code wide}.
   */
  public static boolean widens(Device device, DType dtype) {
    if (!device.getDeviceType().equals(Device.Type.CPU)) {
      return false;
    }
    String wish = System.getProperty(PROPERTY_16, "auto").toLowerCase(Locale.ROOT);
    return switch (wish) {
      case "auto" -> WIDENED.computeIfAbsent(dtype, GemmBackend::measureWidening);
      case "native" -> false;
      case "wide" -> true;
      default ->
          throw new IllegalArgumentException(
              "-D" + PROPERTY_16 + "=" + wish + ": expected auto, native or wide");
    };
  }

  /** Times a product as it is, and one that is widened, converting its operands. */
  private static boolean measureWidening(DType dtype) {
    choice();
    try (NDManager manager = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
        TorchProgram program =
            TorchProgram.load(Device.cpu(), GemmBackend.class, Map.of(), "gemm.py")) {
      NDArray x =
          Tensors.cast(
              manager, manager.randomNormal(0, 1, new Shape(ROWS, DEPTH), DataType.FLOAT32), dtype);
      NDArray w =
          Tensors.cast(
              manager,
              manager.randomNormal(0, 1, new Shape(COLUMNS, DEPTH), DataType.FLOAT32),
              dtype);
      double plain = seconds(program, "multiply", x, w);
      double wide = seconds(program, "multiply_wide", x, w);
      boolean widens = wide < plain;
      double flops = 2.0 * ROWS * DEPTH * COLUMNS / 1e9;
      log.info(
          "{} GEMM: {} ({} GFLOP/s as it is, {} in fp32)",
          dtype,
          widens ? "in fp32, as this processor only emulates it" : "as it is",
          Math.round(flops / plain),
          Math.round(flops / wide));
      return widens;
    }
  }

  private static Choice measure(Setting setting) {
    try (NDManager manager = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
        TorchProgram program =
            TorchProgram.load(Device.cpu(), GemmBackend.class, Map.of(), "gemm.py")) {
      NDArray x = manager.randomNormal(0, 1, new Shape(ROWS, DEPTH), DataType.FLOAT32);
      NDArray w = manager.randomNormal(0, 1, new Shape(COLUMNS, DEPTH), DataType.FLOAT32);
      double mkl = Double.MAX_VALUE;
      double onednn = Double.MAX_VALUE;
      for (int round = 0; round < ROUNDS; round++) { // in turn, so that a busy moment hits both
        setting.set(HIGHEST);
        mkl = Math.min(mkl, seconds(program, "multiply", x, w));
        setting.set(MEDIUM);
        onednn = Math.min(onednn, seconds(program, "multiply", x, w));
      }
      float error;
      try (NDArray e = program.callForOne(manager, "error", x, w)) {
        error = e.getFloat();
      }
      boolean exact = error <= LARGEST_FP32_ERROR;
      Choice choice = exact && onednn < mkl ? Choice.ONEDNN : Choice.MKL;
      if (choice == Choice.MKL) {
        setting.set(HIGHEST);
      }
      double flops = 2.0 * ROWS * DEPTH * COLUMNS / 1e9;
      log.info(
          "fp32 GEMM: {} (default {} GFLOP/s; oneDNN {} GFLOP/s, error {})",
          choice,
          Math.round(flops / mkl),
          Math.round(flops / onednn),
          error);
      return choice;
    }
  }

  /** The faster of a few products. */
  private static double seconds(TorchProgram program, String method, NDArray x, NDArray w) {
    long best = Long.MAX_VALUE;
    for (int i = 0; i < 2; i++) {
      long start = System.nanoTime();
      program.run(method, x, w);
      best = Math.min(best, System.nanoTime() - start);
    }
    return best / 1e9;
  }

  /** The switch inside libtorch. */
  private record Setting(Pointer context, Function setter) {

    static Optional<Setting> find() {
      try {
        Optional<Path> library = loadedLibrary();
        if (library.isEmpty()) {
          return Optional.empty();
        }
        NativeLibrary torch = NativeLibrary.getInstance(library.get().toString());
        Pointer context = torch.getFunction(CONTEXT).invokePointer(new Object[0]);
        return Optional.of(new Setting(context, torch.getFunction(SET_PRECISION)));
      } catch (LinkageError | IOException | UncheckedIOException e) {
        log.debug("no GEMM setting in libtorch", e);
        return Optional.empty();
      }
    }

    /** The libtorch_cpu that this process has mapped; only Linux tells. */
    private static Optional<Path> loadedLibrary() throws IOException {
      Path maps = Path.of("/proc/self/maps");
      if (!Files.isReadable(maps)) {
        return Optional.empty();
      }
      try (Stream<String> lines = Files.lines(maps)) {
        return lines
            .filter(line -> line.endsWith("/libtorch_cpu.so"))
            .map(line -> Path.of(line.substring(line.indexOf('/'))))
            .findFirst();
      }
    }

    void set(int precision) {
      setter.invokeVoid(new Object[] {context, precision});
    }
  }
}
