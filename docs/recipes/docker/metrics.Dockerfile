# The plimsoll command, which serves the metrics of a service: see ../kubernetes/metrics.yaml.
# docker build -f docs/recipes/docker/metrics.Dockerfile -t registry.example.com/plimsoll-metrics:0.1.0 .   (in the source of Plimsoll)
FROM debian:bookworm-slim AS plimsoll
RUN apt-get update && \
    apt-get install -y --no-install-recommends gcc libc6-dev binutils pkg-config meson ninja-build libjemalloc-dev \
        libcgroup-dev libjansson-dev libncurses-dev libmicrohttpd-dev && \
    rm -rf /var/lib/apt/lists/*
COPY meson.build meson_options.txt LICENSE /source/
COPY include /source/include
COPY src /source/src
COPY docs/meson.build /source/docs/meson.build
COPY docs/man /source/docs/man
RUN meson setup /build /source --prefix=/usr --libdir=lib -Dtests=false -Dcommand=enabled && \
    DESTDIR=/out meson install -C /build --quiet

FROM debian:bookworm-slim
RUN apt-get update && \
    apt-get install -y --no-install-recommends libcgroup2 libjansson4 libncursesw6 libmicrohttpd12 && \
    rm -rf /var/lib/apt/lists/*
COPY --from=plimsoll /out/usr/bin/plimsoll /usr/bin/plimsoll
COPY --from=plimsoll /out/usr/lib/libplimsoll.so.0 /usr/lib/libplimsoll.so.0
USER 65532:65532
EXPOSE 9464
ENTRYPOINT ["plimsoll"]
CMD ["metrics", "--listen", "0.0.0.0:9464"]
